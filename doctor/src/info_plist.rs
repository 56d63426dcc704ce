//! Whether the app's Info.plist has the addresses that the app configures.

use crate::error::ExamineError;
use crate::{Advice, Check, Deployment, Findings};
use plist::{Dictionary, Value};
use std::io::Cursor;
use std::path::Path;

/// Longest Info.plist that is read, in bytes.
const MAX_INFO_PLIST: u64 = 4 << 20;
/// What devices make of addresses that differ.
const REFUSED: &str = "from iOS and macOS 27.3 on, devices refuse a configuration whose addresses are not those of the \
     Info.plist";
const SERVER: &str = "PIRServerURL";
const ISSUER: &str = "PrivacyPassIssuerURL";

/// Reads a property list.
pub(crate) fn read(path: &Path) -> Result<Dictionary, ExamineError> {
    let failed = |source| ExamineError::InfoPlist { path: path.to_owned(), source };
    let content = durable_file::read(path, MAX_INFO_PLIST).map_err(|error| failed(error.into()))?;
    let value = Value::from_reader(Cursor::new(content)).map_err(|error| failed(error.into()))?;
    value.into_dictionary().ok_or_else(|| failed("it is no dictionary".into()))
}

pub(crate) fn check(
    deployment: &Deployment,
    path: &Path,
    content: &Dictionary,
    findings: &mut Findings,
) {
    match compare(deployment, content) {
        Ok(()) => {
            findings.good(Check::InfoPlist, format!("{} has the app's addresses", path.display()));
        }
        Err((seen, advice)) => {
            findings.bad_for(Check::InfoPlist, format!("{}: {seen}", path.display()), advice);
        }
    }
}

/// The first thing that is wrong with the file, if anything is.
fn compare(deployment: &Deployment, content: &Dictionary) -> Result<(), (String, Advice)> {
    let (server, issuer) = (&deployment.server, &deployment.issuer);
    let wrong = |seen: String, cause: &str, fix: String| {
        Err((seen, Advice { cause: cause.to_owned(), fix }))
    };
    let id = content.get("CFBundleIdentifier").and_then(Value::as_string);
    if let Some(id) = id.filter(|id| !is_of_app(id, &deployment.bundle_id)) {
        return wrong(
            format!("CFBundleIdentifier is {id:?}, expected {:?}", deployment.bundle_id),
            "it is the file of another app, or --bundle-id is that of another one: devices name the use case after the app \
             that they run",
            format!(
                "give the file of the app {}, or its bundle id as --bundle-id",
                deployment.bundle_id
            ),
        );
    }
    let is_own_issuer = issuer == server;
    let Some(configuration) = content.get("NSPIRConfiguration").and_then(Value::as_dictionary)
    else {
        let issuer = match is_own_issuer {
            true => String::new(),
            false => format!(" {ISSUER} = {issuer:?};"),
        };
        return wrong(
            "no dictionary NSPIRConfiguration".to_owned(),
            REFUSED,
            format!(
                "add to the Info.plist of the app and of its extension: NSPIRConfiguration = {{ {SERVER} = {server:?};{issuer} \
                 }}"
            ),
        );
    };
    for (key, expected) in [(SERVER, server), (ISSUER, issuer)] {
        match configuration.get(key) {
            Some(value) if value.as_string() == Some(expected) => {}
            Some(value) => {
                let seen = match value.as_string() {
                    Some(value) => format!("{key} is {value:?}, expected {expected:?}"),
                    None => format!("{key} is no text, expected {expected:?}"),
                };
                let fix = match key == ISSUER && is_own_issuer {
                    true => format!(
                        "remove {key} from NSPIRConfiguration, or change it to {expected:?}, in the Info.plist of \
                         the app and of its extension"
                    ),
                    false => format!(
                        "change {key} in NSPIRConfiguration to {expected:?}, in the Info.plist of the app and of \
                         its extension"
                    ),
                };
                return wrong(seen, REFUSED, fix);
            }
            // Without the issuer's address, devices use the service's.
            None if key == ISSUER && is_own_issuer => {}
            None => {
                return wrong(
                    format!("NSPIRConfiguration has no {key}"),
                    REFUSED,
                    format!(
                        "add {key} = {expected:?} to NSPIRConfiguration, in the Info.plist of the app and of its extension"
                    ),
                );
            }
        }
    }
    Ok(())
}

/// Whether an identifier is that of the app or of a part of it, or a variable that is replaced when the app is built.
fn is_of_app(id: &str, bundle_id: &str) -> bool {
    let part = id.strip_prefix(bundle_id);
    id.contains('$') || part.is_some_and(|part| part.is_empty() || part.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_plist_has_at_most_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Info.plist");
        for length in [MAX_INFO_PLIST - 1, MAX_INFO_PLIST, MAX_INFO_PLIST + 1] {
            std::fs::File::create(&path).unwrap().set_len(length).unwrap();
            let error = crate::error::chain(&read(&path).unwrap_err());
            assert_eq!(
                error.contains("is longer than"),
                length > MAX_INFO_PLIST,
                "{length}: {error}"
            );
        }
    }

    #[test]
    fn a_file_is_of_the_app_or_of_its_extension() {
        for (id, expected) in [
            ("com.example.app", true),
            ("com.example.app.extension", true),
            ("$(PRODUCT_BUNDLE_IDENTIFIER)", true),
            ("com.example.application", false),
            ("com.example.other", false),
            ("", false),
        ] {
            assert_eq!(is_of_app(id, "com.example.app"), expected, "{id}");
        }
    }
}
