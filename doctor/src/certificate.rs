//! The certificate of a server: how long it is valid, and why TLS refused it.

use crate::Findings;
use crate::role::Role;
use rustls::CertificateError;
use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityInfoAccessSyntax, SubjectAltName};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Whoever renews certificates by hand needs that long. Certificates of a few days are renewed by programs, in the last
/// quarter of their time at the latest.
const MIN_LEFT: Duration = Duration::from_secs(14 * 24 * 3600);

/// The access method of an address that has the authority's certificate (RFC 5280, section 4.2.2.1).
const AUTHORITY_CERTIFICATES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// What is wrong between two ends of a connection, and what to do about it.
pub(crate) struct Refusal {
    pub(crate) cause: &'static str,
    pub(crate) fix: &'static str,
}

/// The error of TLS in a chain of errors, if there is one.
pub(crate) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error has what it wraps as no cause of its own.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| tls_error(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Why TLS refused the connection. `None` if the error says nothing more than that it did.
pub(crate) fn refusal(error: &rustls::Error) -> Option<Refusal> {
    use CertificateError as Reason;
    let (cause, fix) = match error {
        rustls::Error::InvalidCertificate(Reason::Expired | Reason::ExpiredContext { .. }) => (
            "the certificate has expired",
            "renew the certificate, reload the service or the load balancer that has it, and let the renewal run by \
             itself",
        ),
        rustls::Error::InvalidCertificate(
            Reason::NotValidYet | Reason::NotValidYetContext { .. },
        ) => (
            "the certificate is not valid yet, or the clock of this machine is behind",
            "check the clock of this machine; use the earlier certificate until the new one begins",
        ),
        rustls::Error::InvalidCertificate(
            Reason::NotValidForName | Reason::NotValidForNameContext { .. },
        ) => (
            "the certificate is for another host",
            "get a certificate with this host's name, or use the name that the certificate has",
        ),
        rustls::Error::InvalidCertificate(Reason::UnknownIssuer) => (
            "the certificate comes from an authority that devices do not know, or its intermediate certificate is not \
             sent",
            "use a certificate of a public authority and configure the whole chain (fullchain.pem, not cert.pem); \
             --authority FILE accepts another authority here, as devices with a profile would",
        ),
        rustls::Error::InvalidCertificate(Reason::Revoked) => {
            ("the certificate was revoked", "get a new certificate with a new key")
        }
        rustls::Error::InvalidCertificate(_) => (
            "the certificate cannot be used for this host",
            "get a certificate of a public authority for this host and configure the whole chain",
        ),
        rustls::Error::InvalidMessage(_) => (
            "what answers there does not speak TLS",
            "use the port of the service that has TLS; pir-server has it where `tls` is configured, a load balancer \
             may have it on another port",
        ),
        rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_) => (
            "the server and this program have no version or cipher of TLS in common, or it has no certificate for this \
             host's name",
            "offer TLS 1.3 or 1.2; behind a load balancer, check that this host's name has a certificate there",
        ),
        _ => return None,
    };
    Some(Refusal { cause, fix })
}

/// The same for the certificate of a server, in DER form, where it tells more than the error: that it has no names at all, or
/// is itself in order, so that the one above it is not. `None` if it does not, or cannot be read.
pub(crate) fn refusal_of(
    error: &rustls::Error,
    certificate: &[u8],
    now: SystemTime,
) -> Option<Refusal> {
    use CertificateError as Reason;
    let rustls::Error::InvalidCertificate(reason) = error else { return None };
    let certificate = Certificate::from_der(certificate).ok()?;
    let content = certificate.tbs_certificate();
    match reason {
        Reason::NotValidForName | Reason::NotValidForNameContext { .. } => {
            let names = content.get_extension::<SubjectAltName>().ok()?;
            let is_host = |name: &GeneralName| {
                matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_))
            };
            let has_hosts = names.is_some_and(|(_, names)| names.0.iter().any(is_host));
            (!has_hosts).then_some(Refusal {
                cause: "the certificate names no host: it has no subjectAltName, and devices do not read the common name (CN)",
                fix: "get a certificate with this host's name as subjectAltName; with openssl, \
                      `-addext subjectAltName=DNS:HOST` adds it",
            })
        }
        Reason::Expired | Reason::ExpiredContext { .. } => {
            let end = content.validity().not_after.to_system_time();
            (end > now).then_some(Refusal {
                cause: "an intermediate certificate that the server sends has expired; the server's own has not",
                fix: "configure the whole chain as the authority gives it now (fullchain.pem of the last renewal) in place of the \
                      old one, and reload the service or the load balancer that has it",
            })
        }
        _ => None,
    }
}

/// The same for a certificate, in DER form, that TLS refused because of who signed it, where an authority was given or not.
/// `None` if it cannot be read.
pub(crate) fn unknown_signer(certificate: &[u8], has_authority: bool) -> Option<Refusal> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let content = certificate.tbs_certificate();
    if content.issuer() == content.subject() {
        return Some(Refusal {
            cause: "the certificate is self-signed: no authority that devices know stands behind it",
            fix: "use a certificate of a public authority; for tests, sign one for the server with an authority of your \
                  own, which devices have as a profile, and give that as --authority FILE",
        });
    }
    // Certificates of public authorities say where that of the authority is (RFC 5280, section 4.2.2.1); the Baseline
    // Requirements of the CA/Browser Forum ask for it. Devices do not fetch it.
    let access = content.get_extension::<AuthorityInfoAccessSyntax>().ok().flatten();
    let names_its_authority = access.is_some_and(|(_, access)| {
        access.0.iter().any(|place| place.access_method == AUTHORITY_CERTIFICATES)
    });
    Some(match names_its_authority {
        true => Refusal {
            cause: "the intermediate certificate is not sent, or the authority is one that devices do not know: the \
                    server's certificate is that of an authority that publishes its own",
            fix: "configure the whole chain, the server's certificate first (fullchain.pem, not cert.pem)",
        },
        false if has_authority => Refusal {
            cause: "the certificate was signed neither by the authority of --authority nor by one that devices know; or an \
                    intermediate certificate signed it, and the server does not send that one",
            fix: "configure the whole chain, the server's certificate first, without the authority itself; or give the \
                  authority that signed it",
        },
        false => Refusal {
            cause: "the certificate comes from an authority of its own, which devices do not know",
            fix: "use a certificate of a public authority; --authority FILE accepts another one here, as devices with a \
                  profile would",
        },
    })
}

/// Whether TLS refused a certificate because of its time or its names.
pub(crate) fn is_about_time_or_names(error: &rustls::Error) -> bool {
    use CertificateError as Reason;
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            Reason::Expired
                | Reason::ExpiredContext { .. }
                | Reason::NotValidForName
                | Reason::NotValidForNameContext { .. }
        )
    )
}

/// Whether TLS refused a certificate because of who signed it, and not because of its time or its names.
pub(crate) fn is_about_signer(error: &rustls::Error) -> bool {
    use CertificateError as Reason;
    matches!(error, rustls::Error::InvalidCertificate(Reason::UnknownIssuer | Reason::Other(_)))
}

/// Tells how long a certificate, in DER form, is still valid. A certificate that cannot be read gives no finding: the
/// connection stands.
pub(crate) fn check_validity(
    certificate: &[u8],
    now: SystemTime,
    address: &str,
    role: Role,
    findings: &mut Findings,
) {
    let Ok(certificate) = Certificate::from_der(certificate) else { return };
    let validity = certificate.tbs_certificate().validity();
    let (begin, end) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
    // Nothing is left of one that has ended. One that ends before it begins has no lifetime, and TLS refuses it.
    let left = end.duration_since(now).unwrap_or(Duration::ZERO);
    let lifetime = end.duration_since(begin).unwrap_or(Duration::ZERO);
    let days = left.as_secs() / DAY.as_secs();
    let seen = format!("{address}: valid until {}, {days} days left", httpdate::fmt_http_date(end));
    match left < MIN_LEFT.min(lifetime / 4) {
        false => findings.good(role.certificate(), seen),
        true => findings.warning(
            role.certificate(),
            seen,
            "the certificate ends soon and was not renewed; with an expired one, no device reaches the server",
            "renew it, reload the service or the load balancer that has it, and let the renewal run by itself",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Severity;

    /// A certificate that began so long ago and ends after `lifetime`.
    fn certificate(lifetime: Duration) -> (Vec<u8>, SystemTime) {
        let begin = rcgen::date_time_ymd(2026, 1, 1);
        let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.not_before = begin;
        parameters.not_after = begin + lifetime;
        let key = rcgen::KeyPair::generate().unwrap();
        let der = parameters.self_signed(&key).unwrap().der().to_vec();
        (der, SystemTime::from(begin) + lifetime)
    }

    #[test]
    fn a_missing_intermediate_is_told_from_an_unknown_authority() {
        // One place: the certificate of the authority is at http://a.example/.
        let address = b"http://a.example/";
        let method = [6, 8, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
        let place = [&method[..], &[0x86, address.len() as u8], address].concat();
        let list = [&[0x30, place.len() as u8], &place[..]].concat();
        let access = [&[0x30, list.len() as u8], &list[..]].concat();
        let access = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access);
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = |name: &str| {
            let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
            parameters
        };
        let authority = rcgen::Issuer::new(parameters("authority.example"), &key);
        for (extension, expected) in [
            (Some(access), "the intermediate certificate is not sent"),
            (None, "an authority of its own"),
        ] {
            let mut own = parameters("a.example");
            own.custom_extensions.extend(extension);
            let certificate = own.signed_by(&key, &authority).unwrap();
            let refusal = unknown_signer(certificate.der(), false).unwrap();
            assert!(refusal.cause.contains(expected), "{}", refusal.cause);
            let refusal = unknown_signer(certificate.der(), true).unwrap();
            assert!(refusal.cause.contains("intermediate certificate"), "{}", refusal.cause);
        }
        let itself = parameters("a.example").self_signed(&key).unwrap();
        assert!(unknown_signer(itself.der(), false).unwrap().cause.contains("self-signed"));
        assert!(unknown_signer(b"nonsense", false).is_none());
    }

    #[test]
    fn certificates_that_end_soon_are_told() {
        let second = Duration::from_secs(1);
        for (lifetime, limit) in [(90 * DAY, MIN_LEFT), (6 * DAY, 6 * DAY / 4)] {
            let (der, end) = certificate(lifetime);
            for (left, severity) in [
                (limit + second, Severity::Good),
                (limit, Severity::Good),
                (limit - second, Severity::Warning),
                (Duration::ZERO, Severity::Warning),
            ] {
                let mut findings = Findings::default();
                check_validity(&der, end - left, "https://a.example", Role::Server, &mut findings);
                assert_eq!(findings.count(severity), 1, "{left:?}: {findings:?}");
            }
        }
        let mut findings = Findings::default();
        check_validity(
            b"nonsense",
            SystemTime::now(),
            "https://a.example",
            Role::Server,
            &mut findings,
        );
        assert!(findings.is_empty());
    }
}
