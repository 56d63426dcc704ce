//! Whether the app says the same addresses as its configuration.

use super::{Deployment, Findings};
use plist::Value;
use std::path::Path;

const CHECK: &str = "infoPlist";

pub(super) fn check(deployment: &Deployment, path: &Path, findings: &mut Findings) {
    let name = path.display();
    let mut bad = |seen: String| {
        findings.bad(
            CHECK,
            seen,
            "from iOS and macOS 27.3 on, the app's Info.plist (not the extension's) must say the addresses that \
             the app configures; otherwise the configuration is refused",
            format!(
                "add to the app's Info.plist: NSPIRConfiguration = {{ PIRServerURL = {:?}; \
                 PrivacyPassIssuerURL = {:?}; }}",
                deployment.server, deployment.issuer
            ),
        );
    };
    let value = match Value::from_file(path) {
        Ok(value) => value,
        Err(error) => return bad(format!("{name}: {error}")),
    };
    let configuration = value.as_dictionary().and_then(|all| all.get("NSPIRConfiguration"));
    let Some(configuration) = configuration.and_then(Value::as_dictionary) else {
        return bad(format!("{name}: no dictionary NSPIRConfiguration"));
    };
    for (key, wanted) in
        [("PIRServerURL", &deployment.server), ("PrivacyPassIssuerURL", &deployment.issuer)]
    {
        match configuration.get(key).and_then(Value::as_string) {
            Some(value) if value == wanted => {}
            Some(value) => return bad(format!("{name}: {key} is {value:?}, and not {wanted:?}")),
            None => return bad(format!("{name}: NSPIRConfiguration has no {key}")),
        }
    }
    findings.good(CHECK, format!("{name} says both addresses"));
}
