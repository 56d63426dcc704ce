//! The files that a run reads and writes: no two of them may be the same.

use super::error::ProcessError;
use super::journal::Journals;
use super::plaintexts;
use super::unfinished::unfinished;
use crate::configuration::{Configuration, MAX_SHARDS, SHARD_ID, ShardPath};
use std::path::{Path, PathBuf};

/// Digits of the largest number of a shard.
const NUMBER_DIGITS: usize = 5;

/// A file, or one file of each shard.
struct Name {
    /// Who names it, for messages.
    key: &'static str,
    /// Absolute; the folders that are there already are resolved.
    path: String,
    /// Whether [`SHARD_ID`] in the path stands for the number of a shard.
    has_shard_id: bool,
}

/// Checks that all files have names of their own, whatever the number of shards will be.
pub(super) fn check(configuration: &Configuration) -> Result<(), ProcessError> {
    let names = names(configuration);
    for (place, first) in names.iter().enumerate() {
        for second in names[place + 1..].iter().filter(|second| second.key != first.key) {
            if let Some(path) = first.common(second) {
                let (first, second) = (first.key, second.key);
                return Err(ProcessError::SameFile { first, second, path: path.into() });
            }
        }
    }
    Ok(())
}

fn names(configuration: &Configuration) -> Vec<Name> {
    let mut names = vec![Name::read("inputDatabase", &configuration.input_database)];
    if let Some(symmetric) = &configuration.symmetric {
        if let Some(path) = &symmetric.database_encryption_key_file_path {
            names.push(Name::read("databaseEncryptionKeyFilePath", path));
        }
        if let Some(path) = &symmetric.output_database_encryption_key_file_path {
            names.push(Name::written("outputDatabaseEncryptionKeyFilePath", path));
        }
    }
    names.extend(Name::of_shards("outputDatabase", &configuration.output_database, true));
    names.extend(Name::of_shards("outputPirParameters", &configuration.output_parameters, false));
    if let Some(path) = &configuration.output_evaluation_key_config {
        names.push(Name::written("outputEvaluationKeyConfig", path));
    }
    let manifest = configuration.manifest_path();
    names.push(Name::written("the journal of a run", &Journals::beside(&manifest).path(None)));
    names.push(Name::written("the manifest", &manifest));
    names
}

impl Name {
    /// A file that is read: what a link leads to counts.
    fn read(key: &'static str, path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| absolute(path));
        Self { key, path: path.to_string_lossy().into_owned(), has_shard_id: false }
    }

    /// A file that is written: a link with its name is replaced.
    fn written(key: &'static str, path: &Path) -> Self {
        Self { key, path: absolute(path).to_string_lossy().into_owned(), has_shard_id: false }
    }

    /// The files of all shards with a path, and what a run writes beside them.
    fn of_shards(key: &'static str, path: &ShardPath, has_plaintexts: bool) -> Vec<Self> {
        let has_shard_id = path.has_shard_id();
        let path = path.with(SHARD_ID);
        let mut all = vec![path.clone(), unfinished(&path)];
        if has_plaintexts {
            let of_plaintexts = plaintexts::path_of(&path);
            all.extend([unfinished(&of_plaintexts), of_plaintexts]);
        }
        all.iter().map(|path| Self { has_shard_id, ..Self::written(key, path) }).collect()
    }

    fn of_shard(&self, shard: u32) -> String {
        self.path.replace(SHARD_ID, &shard.to_string())
    }

    /// Whether this is, or one of these is, the file of a path.
    fn has(&self, path: &str) -> bool {
        if !self.has_shard_id {
            return self.path == path;
        }
        let start = self.path.split(SHARD_ID).next().unwrap_or_default();
        let Some(rest) = path.strip_prefix(start) else { return false };
        let digits = rest.bytes().take(NUMBER_DIGITS).take_while(u8::is_ascii_digit).count();
        let mut numbers = (1..=digits).filter_map(|end| rest[..end].parse::<u32>().ok());
        numbers.any(|shard| shard < MAX_SHARDS && self.of_shard(shard) == path)
    }

    /// A file that both name.
    fn common(&self, other: &Self) -> Option<String> {
        match (self.has_shard_id, other.has_shard_id) {
            (false, _) => other.has(&self.path).then(|| self.path.clone()),
            (true, false) => other.common(self),
            (true, true) => {
                let (own, others) = (self.end(), other.end());
                if !own.ends_with(others) && !others.ends_with(own) {
                    return None;
                }
                (0..MAX_SHARDS).map(|shard| self.of_shard(shard)).find(|path| other.has(path))
            }
        }
    }

    /// What stands behind the last number.
    fn end(&self) -> &str {
        self.path.rsplit(SHARD_ID).next().unwrap_or_default()
    }
}

/// A path whose folders are resolved as far as they are there.
fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for folder in path.ancestors().skip(1) {
        if let (Ok(real), Ok(rest)) = (folder.canonicalize(), path.strip_prefix(folder)) {
            return real.join(rest);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a configuration with these names; empty if nothing is wrong.
    fn said(folder: &Path, names: [(&str, &str); 3], more: &str) -> String {
        let mut text = String::from(r#"{"rlweParameters": "n_4096_logq_27_28_28_logt_5""#);
        let defaults = [
            ("inputDatabase", "in.txtpb"),
            ("outputDatabase", "urls-SHARD_ID.bin"),
            ("outputPirParameters", "urls-SHARD_ID.params.txtpb"),
        ];
        let is_given = |key: &str| names.iter().any(|(given, _)| *given == key);
        let rest = defaults.iter().filter(|(key, _)| !is_given(key));
        for (key, name) in names.iter().chain(rest).filter(|(key, _)| !key.is_empty()) {
            let path = folder.join(name);
            text.push_str(&format!(r#", "{key}": {:?}"#, path.to_str().unwrap()));
        }
        text.push_str(more);
        text.push('}');
        let configuration = Configuration::parse(text.as_bytes()).unwrap();
        check(&configuration).err().map(|error| error.to_string()).unwrap_or_default()
    }

    const NONE: (&str, &str) = ("", "");

    #[test]
    fn names_that_coincide_for_any_shard_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dist")).unwrap();
        let (database, parameters) = ("outputDatabase", "outputPirParameters");
        let keys = "outputEvaluationKeyConfig";
        for (names, expected) in [
            ([NONE, NONE, NONE], None),
            ([(keys, "urls-keys.bin"), NONE, NONE], None),
            ([(keys, "urls-65536.bin"), NONE, NONE], None),
            ([(keys, "urls-01.bin"), NONE, NONE], None),
            (
                [(parameters, "urls-SHARD_ID.bin"), NONE, NONE],
                Some((database, parameters, "0.bin")),
            ),
            (
                [(parameters, "dist/../urls-SHARD_ID.bin"), NONE, NONE],
                Some((database, parameters, "urls-0.bin")),
            ),
            (
                [(parameters, "urls-1SHARD_ID.bin"), NONE, NONE],
                Some((database, parameters, "urls-10.bin")),
            ),
            (
                [(parameters, "urls-SHARD_ID.bin.plaintexts"), NONE, NONE],
                Some((database, parameters, "urls-0.bin.plaintexts")),
            ),
            (
                [(parameters, "urls-SHARD_ID.bin.unfinished"), NONE, NONE],
                Some((database, parameters, "urls-0.bin.unfinished")),
            ),
            ([(keys, "urls-0.bin"), NONE, NONE], Some((database, keys, "urls-0.bin"))),
            ([(keys, "./urls-65535.bin"), NONE, NONE], Some((database, keys, "urls-65535.bin"))),
            (
                [(keys, "urls-0.params.txtpb"), NONE, NONE],
                Some((parameters, keys, "urls-0.params.txtpb")),
            ),
            (
                [(keys, "urls-manifest.json"), NONE, NONE],
                Some((keys, "the manifest", "urls-manifest.json")),
            ),
            (
                [(keys, "urls-manifest.journal"), NONE, NONE],
                Some((keys, "the journal of a run", "urls-manifest.journal")),
            ),
            ([(keys, "in.txtpb"), NONE, NONE], Some(("inputDatabase", keys, "in.txtpb"))),
            (
                [("inputDatabase", "urls-3.bin"), NONE, NONE],
                Some(("inputDatabase", database, "urls-3.bin")),
            ),
            (
                [(database, "one.bin"), (parameters, "one.bin"), NONE],
                Some((database, parameters, "one.bin")),
            ),
            (
                [(database, "one.bin"), (parameters, "one.txtpb"), (keys, "one.manifest.json")],
                Some((keys, "the manifest", "one.manifest.json")),
            ),
        ] {
            let said = said(folder.path(), names, "");
            match expected {
                None => assert_eq!(said, "", "{names:?}"),
                Some((first, second, end)) => {
                    let start = format!("{first} and {second} are both ");
                    assert!(said.starts_with(&start) && said.contains(end), "{names:?}: {said}");
                }
            }
        }
    }

    #[test]
    fn the_key_of_a_symmetric_database_has_a_name_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let symmetric = |key: &str, name: &str| {
            let path = folder.path().join(name);
            let more = format!(r#", "symmetricPirArguments": {{"{key}": {path:?}}}"#);
            said(folder.path(), [NONE, NONE, NONE], &more)
        };
        let (existing, new) =
            ("databaseEncryptionKeyFilePath", "outputDatabaseEncryptionKeyFilePath");
        for key in [existing, new] {
            assert_eq!(symmetric(key, "key.bin"), "");
            let told = symmetric(key, "urls-7.bin");
            assert!(told.starts_with(&format!("{key} and outputDatabase are both ")), "{told}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_input_that_is_a_link_to_an_output_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("urls-0.bin"), "").unwrap();
        let (target, link) = (folder.path().join("urls-0.bin"), folder.path().join("in.txtpb"));
        std::os::unix::fs::symlink(target, link).unwrap();
        let told = said(folder.path(), [NONE, NONE, NONE], "");
        assert!(told.starts_with("inputDatabase and outputDatabase are both "), "{told}");
    }
}
