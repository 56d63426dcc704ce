//! When a certificate begins and ends: the fields that the TLS library does not tell.

use crate::calendar::days_since_1970;
use unix_clock::Timestamp;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Tag and content of the first element, and what is behind it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of a sequence, and what is behind it.
fn sequence(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(input)?;
    (tag == SEQUENCE).then_some((content, rest))
}

/// `notBefore` and `notAfter` of a certificate in DER form (RFC 5280, section 4.1); `None` if they cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (certificate, _) = sequence(certificate)?;
    let (mut fields, _) = sequence(certificate)?;
    if fields.first() == Some(&EXPLICIT_VERSION) {
        fields = element(fields)?.2;
    }
    // Serial number, algorithm of the signature, issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (validity, _) = sequence(fields)?;
    let next = |fields| {
        let (tag, text, rest) = element(fields)?;
        Some((time(tag, std::str::from_utf8(text).ok()?)?, rest))
    };
    let (begin, validity) = next(validity)?;
    let (end, _) = next(validity)?;
    Some((begin, end))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (year, rest) = match tag {
        UTC_TIME if digits.len() == 12 => digits.split_at_checked(2)?,
        GENERALIZED_TIME if digits.len() == 14 => digits.split_at_checked(4)?,
        _ => return None,
    };
    if !is_number(year) || !is_number(rest) {
        return None;
    }
    let mut year: u64 = year.parse().ok()?;
    if tag == UTC_TIME {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let (month, day, hour, minute, second) = (two(0)?, two(2)?, two(4)?, two(6)?, two(8)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // What ended before 1970 has ended.
    let days = u64::from(days_since_1970(year, month, day)?.max(0).unsigned_abs());
    Some(Timestamp::from_unix_seconds(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "991231235959Z", Some(946_684_799)),
            (UTC_TIME, "000229000000Z", Some(951_782_400)),
            (UTC_TIME, "000301000000Z", Some(951_868_800)),
            (UTC_TIME, "261126043000Z", Some(1_795_667_400)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "21000301000000Z", Some(4_107_542_400)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "20500101000000Z", None),
            (GENERALIZED_TIME, "500101000000Z", None),
            (UTC_TIME, "7001010000000", None),
            (UTC_TIME, "70010100000Z", None),
            (UTC_TIME, "+00101000000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "700100000000Z", None),
            (UTC_TIME, "700101240000Z", None),
        ] {
            assert_eq!(time(tag, text).map(Timestamp::unix_seconds), expected, "{text}");
        }
    }

    #[test]
    fn the_times_of_a_certificate_are_read() {
        let names = vec!["localhost".to_owned()];
        for (year, expected) in [(2027, 1_798_761_600), (2060, 2_840_140_800)] {
            let mut parameters = rcgen::CertificateParams::new(names.clone()).unwrap();
            parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
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
}
