//! `urlfilter signing-key`: a key pair for signing what is published.

use crate::output::{Exit, Results, note};
use anyhow::bail;
use durable_file::{Access, FileSet};
use release_signature::SecretKey;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Make a key pair for `urlfilter publish --sign`
///
/// Writes FILE, which is for its owner alone, and FILE.pub, and prints the public key, which nodes have in their
/// configuration ("publications.publicKeys"). The keys are those of minisign without a password: whoever can read
/// FILE can sign. Files that exist are not overwritten.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  urlfilter signing-key publication.key
  urlfilter publish --sign publication.key …

Exit codes:
  0  written
  2  failure")]
pub(crate) struct Arguments {
    /// Where the secret key is written
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Exit> {
    let secret = &arguments.file;
    let Some(name) = secret.file_name().and_then(|name| name.to_str()) else {
        bail!("{}: not the name of a file", secret.display());
    };
    let folder = secret.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let public = format!("{name}.pub");
    for path in [secret.clone(), folder.join(&public)] {
        if path.symlink_metadata().is_ok() {
            bail!("{}: exists already; choose another name", path.display());
        }
    }
    let key = SecretKey::generate()?;
    let mut files = FileSet::new(folder)?;
    files.add(name, Access::Owner, |out| out.write_all(key.to_file().as_bytes()))?;
    files.add(&public, Access::Everyone, |out| out.write_all(key.public().to_file().as_bytes()))?;
    files.commit()?;
    note(format_args!("wrote {} and {}", secret.display(), folder.join(&public).display()));
    let mut results = Results::new();
    results.line(format_args!("{}", key.public()))?;
    results.finish()?;
    Ok(Exit::Success)
}
