//! Whether the app's Info.plist has the addresses that the app configures.

use crate::error::chain;
use crate::{Check, Deployment, Findings};
use plist::Value;
use std::io::Cursor;
use std::path::Path;

/// Longest Info.plist that is read, in bytes.
const MAX_INFO_PLIST: u64 = 4 << 20;

pub(crate) fn check(deployment: &Deployment, path: &Path, findings: &mut Findings) {
    match compare(deployment, path) {
        Ok(()) => {
            findings.good(Check::InfoPlist, format!("{} has the app's addresses", path.display()));
        }
        Err(seen) => findings.bad(
            Check::InfoPlist,
            format!("{}: {seen}", path.display()),
            "from iOS and macOS 27.3 on, devices refuse a configuration whose addresses are not those of the \
             Info.plist. Apple's documentation names the app's file in one place and the extension's in another",
            format!(
                "add to the Info.plist of the app and of the extension: NSPIRConfiguration = {{ PIRServerURL = {:?};{} \
                 }}",
                deployment.server,
                match deployment.issuer == deployment.server {
                    true => String::new(),
                    false => format!(" PrivacyPassIssuerURL = {:?};", deployment.issuer),
                }
            ),
        ),
    }
}

/// What is wrong with the file, if anything is.
fn compare(deployment: &Deployment, path: &Path) -> Result<(), String> {
    let content = durable_file::read(path, MAX_INFO_PLIST).map_err(|error| chain(&error))?;
    let value = Value::from_reader(Cursor::new(content)).map_err(|error| chain(&error))?;
    let configuration = value.as_dictionary().and_then(|all| all.get("NSPIRConfiguration"));
    let configuration = configuration.and_then(Value::as_dictionary);
    let configuration = configuration.ok_or("no dictionary NSPIRConfiguration")?;
    for (key, expected) in
        [("PIRServerURL", &deployment.server), ("PrivacyPassIssuerURL", &deployment.issuer)]
    {
        match configuration.get(key).and_then(Value::as_string) {
            Some(value) if value == expected => {}
            Some(value) => return Err(format!("{key} is {value:?}, expected {expected:?}")),
            // Without the issuer's address, devices use the service's.
            None if key == "PrivacyPassIssuerURL" && *expected == deployment.server => {}
            None => return Err(format!("NSPIRConfiguration has no {key}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_plist_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Info.plist");
        let deployment = Deployment::new("https://pir.example.com", "com.example.app", "AAAA");
        for length in [MAX_INFO_PLIST - 1, MAX_INFO_PLIST, MAX_INFO_PLIST + 1] {
            std::fs::File::create(&path).unwrap().set_len(length).unwrap();
            let error = compare(&deployment, &path).unwrap_err();
            assert_eq!(
                error.contains("is longer than"),
                length > MAX_INFO_PLIST,
                "{length}: {error}"
            );
        }
    }
}
