//! Certificates that devices refuse although they look like good ones.

use crate::support::{Deployed, Plan, Report, Tls};
use doctor::Severity;

/// What is found where the authority is known.
fn examined(tls: Tls) -> Report {
    let deployed = Deployed::new(Plan { tls: Some(tls), ..Plan::default() });
    deployed.examine(deployed.deployment().authority(deployed.path("authority.pem")))
}

#[test]
fn a_certificate_without_names_is_for_no_host() {
    let report = examined(Tls { has_names: false, ..Tls::default() });
    report.is_only("serverConnection", Severity::Bad, "certificate");
    report.has_cause("it has no subjectAltName");
    report.has_fix("a certificate with this host's name as subjectAltName");
    // Below an intermediate one, too.
    let report = examined(Tls { has_names: false, intermediate: Some(365), ..Tls::default() });
    report.is_only("serverConnection", Severity::Bad, "certificate");
    report.has_cause("it has no subjectAltName");
}

#[test]
fn an_intermediate_certificate_that_has_expired_is_told_from_the_servers() {
    let of_days = |days, intermediate| {
        examined(Tls { days, intermediate: Some(intermediate), ..Tls::default() })
    };
    let report = of_days(365, 365);
    assert!(report.findings.is_ready(), "{:#?}", report.findings);
    let report = of_days(365, -1);
    report.is_only("serverConnection", Severity::Bad, "expired");
    report.has_cause("an intermediate certificate that the server sends has expired");
    report.has_fix("fullchain.pem of the last renewal");
    // The server's own has expired, and with it perhaps the other.
    for intermediate in [365, -1] {
        let report = of_days(-1, intermediate);
        report.is_only("serverConnection", Severity::Bad, "expired");
        report.has_cause("the certificate has expired");
    }
}
