//! The file that keeps a client's keys and tokens between runs.

use anyhow::Context;
use durable_file::Access;
use filter_client::ClientState;
use std::path::Path;
use zeroize::Zeroizing;

/// Longest state that is read, in bytes.
const MAX_STATE: u64 = 16 << 20;

/// Reads a state; `None` if there is no such file. A file that others can read is refused: its secrets may be known
/// to them.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<ClientState>> {
    let bytes = match durable_file::read_private(path, MAX_STATE) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error).context("--state"),
    };
    let state = ClientState::from_bytes(&bytes);
    Ok(Some(state.with_context(|| format!("--state {}", path.display()))?))
}

/// Writes a state for its owner alone.
pub(super) fn write(path: &Path, state: &ClientState) -> anyhow::Result<()> {
    durable_file::write(path, Access::Owner, &state.to_bytes()).context("--state")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.state");
        assert!(read(&path).unwrap().is_none());
        let state = ClientState::new();
        write(&path, &state).unwrap();
        let found = read(&path).unwrap().unwrap();
        assert_eq!(found.user_identifier(), state.user_identifier());
    }

    #[test]
    fn a_state_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.state");
        for length in [MAX_STATE - 1, MAX_STATE, MAX_STATE + 1] {
            durable_file::write(&path, Access::Owner, &vec![b' '; length as usize]).unwrap();
            let error = format!("{:#}", read(&path).err().unwrap());
            assert_eq!(error.contains("is longer than"), length > MAX_STATE, "{error}");
        }
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
            write(&path, &ClientState::new()).unwrap();
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
                write(&path, &ClientState::new()).unwrap();
                assert!(fs::symlink_metadata(&path).unwrap().is_file());
                assert_eq!(mode(&path), 0o600);
                assert_eq!(fs::read(&elsewhere).unwrap(), b"kept");
            }
        }

        #[test]
        fn a_state_that_others_can_read_is_refused() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("state");
            write(&path, &ClientState::new()).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            let error = format!("{:#}", read(&path).err().unwrap());
            assert!(error.contains("chmod 600"), "{error}");
        }
    }
}
