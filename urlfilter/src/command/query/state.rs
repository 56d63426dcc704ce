//! The file that keeps a client's keys and tokens between runs.

use anyhow::{Context, bail};
use durable_file::Access;
use filter_client::ClientState;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longest state that is read, in bytes.
const MAX_STATE: u64 = filter_client::MAX_STATE as u64;

/// A state file that no other process uses: two runs with one state would spend the same tokens.
pub(super) struct StateFile {
    path: PathBuf,
    /// Locked until the process ends. The state itself is replaced with each write, and a lock is not.
    _lock: File,
}

impl StateFile {
    /// Locks a state file. The state is in `path`, the lock is on a file beside it.
    pub(super) fn lock(path: &Path) -> anyhow::Result<Self> {
        let mut name = OsString::from(path);
        name.push(".lock");
        let lock_path = PathBuf::from(name);
        let lock = open_lock(&lock_path);
        let lock = lock.with_context(|| format!("--state: cannot open {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "--state {}: another process uses it; two at once would spend the same tokens. Wait, or \
                 give each a file of its own",
                path.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("--state: cannot lock {}", lock_path.display()))
            }
        }
    }

    /// The state; `None` if there is no such file. A file that others can read is refused: its secrets may be
    /// known to them.
    pub(super) fn read(&self) -> anyhow::Result<Option<ClientState>> {
        let bytes = match durable_file::read_private(&self.path, MAX_STATE) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error).context("--state"),
        };
        let state = ClientState::from_bytes(&bytes);
        Ok(Some(state.with_context(|| format!("--state {}", self.path.display()))?))
    }

    /// Replaces the state, for its owner alone. It survives a crash when this returns.
    pub(super) fn write(&self, state: &ClientState) -> anyhow::Result<()> {
        durable_file::write(&self.path, Access::Owner, &state.to_bytes()).context("--state")
    }
}

/// Opens the file that is locked. A link is an error, and so is anything else that is no file: opening a pipe would wait for
/// whoever reads it.
fn open_lock(path: &Path) -> io::Result<File> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::lock(&folder.path().join("client.state")).unwrap();
        assert!(file.read().unwrap().is_none());
        let state = ClientState::new();
        file.write(&state).unwrap();
        let found = file.read().unwrap().unwrap();
        assert_eq!(found.user_identifier(), state.user_identifier());
    }

    #[test]
    fn a_state_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.state");
        let file = StateFile::lock(&path).unwrap();
        for length in [MAX_STATE - 1, MAX_STATE, MAX_STATE + 1] {
            durable_file::write(&path, Access::Owner, &vec![b' '; length as usize]).unwrap();
            let error = format!("{:#}", file.read().err().unwrap());
            assert_eq!(error.contains("is longer than"), length > MAX_STATE, "{error}");
        }
    }

    #[test]
    fn a_state_is_used_by_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.state");
        let file = StateFile::lock(&path).unwrap();
        let error = format!("{:#}", StateFile::lock(&path).err().unwrap());
        assert!(error.contains("another process uses it"), "{error}");
        drop(file);
        drop(StateFile::lock(&path).unwrap());
    }

    #[cfg(unix)]
    mod private {
        use super::*;
        use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

        fn mode(path: &Path) -> u32 {
            fs::symlink_metadata(path).unwrap().mode() & 0o777
        }

        #[test]
        fn a_file_of_the_old_temporary_name_does_not_matter() {
            let folder = tempfile::tempdir().unwrap();
            let (path, old) = (folder.path().join("state"), folder.path().join("state.new"));
            fs::write(&old, "not ours").unwrap();
            fs::set_permissions(&old, PermissionsExt::from_mode(0o666)).unwrap();
            StateFile::lock(&path).unwrap().write(&ClientState::new()).unwrap();
            assert_eq!(mode(&path), 0o600);
            assert_eq!(fs::read(&old).unwrap(), b"not ours");
        }

        #[test]
        fn links_are_replaced_and_not_followed() {
            let folder = tempfile::tempdir().unwrap();
            let (path, elsewhere) = (folder.path().join("state"), folder.path().join("elsewhere"));
            for link in [path.clone(), folder.path().join("state.new")] {
                fs::write(&elsewhere, "kept").unwrap();
                symlink(&elsewhere, &link).unwrap();
                StateFile::lock(&path).unwrap().write(&ClientState::new()).unwrap();
                assert!(fs::symlink_metadata(&path).unwrap().is_file());
                assert_eq!(mode(&path), 0o600);
                assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
            }
        }

        #[test]
        fn the_lock_is_no_link_and_no_pipe() {
            let folder = tempfile::tempdir().unwrap();
            let (path, lock) = (folder.path().join("state"), folder.path().join("state.lock"));
            let elsewhere = folder.path().join("elsewhere");
            symlink(&elsewhere, &lock).unwrap();
            let error = format!("{:#}", StateFile::lock(&path).err().unwrap());
            assert!(error.contains("state.lock") && error.contains("no file"), "{error}");
            assert!(!elsewhere.exists());
            fs::remove_file(&lock).unwrap();
            drop(std::os::unix::net::UnixListener::bind(&lock).unwrap());
            assert!(StateFile::lock(&path).is_err());
        }

        #[test]
        fn a_state_that_others_can_read_is_refused() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state");
            let file = StateFile::lock(&path).unwrap();
            file.write(&ClientState::new()).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            let error = format!("{:#}", file.read().err().unwrap());
            assert!(error.contains("chmod 600"), "{error}");
        }
    }
}
