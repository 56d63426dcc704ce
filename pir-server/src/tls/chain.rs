//! What the certificates of a chain say, which the TLS library does not tell: when they begin and end, and who issued them.

use rustls::pki_types::CertificateDer;
use unix_clock::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;

/// Where the certificate of an authority is (`id-ad-caIssuers`; RFC 5280, section 4.2.2.1).
const AUTHORITY_CERTIFICATES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.2");

/// `notBefore` and `notAfter` of a certificate in DER form (RFC 5280, section 4.1); `None` if they cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let (begin, end) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
    Some((begin.into(), end.into()))
}

/// What is wrong with the order and the completeness of a chain, the server's certificate first (RFC 8446, section 4.4.2).
/// `None` if nothing is, or it cannot be read.
pub(super) fn problem(chain: &[CertificateDer<'_>]) -> Option<&'static str> {
    let chain: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
    let chain = chain.ok()?;
    let is_in_order = |pair: &[Certificate]| {
        pair[0].tbs_certificate().issuer() == pair[1].tbs_certificate().subject()
    };
    if !chain.windows(2).all(is_in_order) {
        return Some(
            "the certificates of the file are not in order, and clients may refuse them: each must be followed by that of the \
             authority that issued it, the server's first",
        );
    }
    let [certificate] = &chain[..] else { return None };
    let content = certificate.tbs_certificate();
    // Authorities that publish their certificate are those that have an intermediate one, by the Baseline Requirements of the
    // CA/Browser Forum. One of its own need not be sent.
    let access = content.get_extension::<AuthorityInfoAccessSyntax>().ok().flatten();
    let names_its_authority = access.is_some_and(|(_, access)| {
        access.0.iter().any(|place| place.access_method == AUTHORITY_CERTIFICATES)
    });
    (names_its_authority && content.issuer() != content.subject()).then_some(
        "the file probably lacks the intermediate certificate, which devices do not fetch: the server's one is of an authority \
         that publishes its own; use the whole chain (fullchain.pem, not cert.pem)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, Issuer, KeyPair};

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters
    }

    #[test]
    fn the_times_of_a_certificate_are_read() {
        for (year, expected) in
            [(2027, 1_798_761_600), (2049, 2_493_072_000), (2060, 2_840_140_800)]
        {
            let mut parameters = parameters("a");
            parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = KeyPair::generate().unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            let (begin, end) = validity(certificate.der()).unwrap();
            let found = (begin.unix_seconds(), end.unix_seconds());
            assert_eq!(found, (946_684_800, expected), "{year}");
            // No part of it is one, and none makes it panic.
            let der: &[u8] = certificate.der();
            for length in 0..der.len() {
                assert!(validity(&der[..length]).is_none(), "{length}");
            }
        }
    }

    #[test]
    fn a_chain_without_its_middle_or_its_order_is_noticed() {
        let key = KeyPair::generate().unwrap();
        let authority = parameters("authority").self_signed(&key).unwrap();
        let authority_der = authority.der().clone();
        let issuer = Issuer::new(parameters("authority"), &key);
        // A sequence with one description: `id-ad-caIssuers` and the address http://a.example.
        let mut access = vec![0x30, 0x1e, 0x30, 0x1c, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 0x30, 2];
        access.extend_from_slice(&[0x86, 16]);
        access.extend_from_slice(b"http://a.example");
        let leaf = |has_access: bool| {
            let mut parameters = parameters("leaf");
            if has_access {
                let oid = [1, 3, 6, 1, 5, 5, 7, 1, 1];
                let extension = CustomExtension::from_oid_content(&oid, access.clone());
                parameters.custom_extensions.push(extension);
            }
            parameters.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
        };
        let (public, private) = (leaf(true), leaf(false));
        assert!(problem(std::slice::from_ref(&public)).unwrap().contains("lacks the intermediate"));
        // One of an authority of its own, or by itself, needs no other.
        assert_eq!(problem(std::slice::from_ref(&private)), None);
        assert_eq!(problem(std::slice::from_ref(&authority_der)), None);
        assert_eq!(problem(&[public.clone(), authority_der.clone()]), None);
        assert!(problem(&[authority_der, public.clone()]).unwrap().contains("not in order"));
        assert!(problem(&[public, private]).unwrap().contains("not in order"));
        assert_eq!(problem(&[CertificateDer::from(vec![1, 2, 3])]), None);
    }
}
