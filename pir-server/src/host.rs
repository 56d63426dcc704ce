//! Names of hosts, as requests and configurations spell them.

use http::uri::Authority;

/// A name, with or without a port, and nothing else: the parser of addresses takes more.
pub(crate) fn is_host(authority: &Authority) -> bool {
    let (host, whole) = (authority.host(), authority.as_str());
    let port = whole.strip_prefix(host);
    let is_port =
        |text: &str| text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    !host.is_empty() && port.is_some_and(|port| port.is_empty() || is_port(port))
}

/// A host as it is compared: in small letters, without the port that `https` has anyway.
pub(crate) fn host_name(authority: &Authority) -> String {
    let host = authority.host().to_ascii_lowercase();
    match authority.port_u16() {
        None | Some(443) => host,
        Some(port) => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(text: &str) -> String {
        let authority: Authority = text.parse().unwrap();
        assert!(is_host(&authority), "{text}");
        host_name(&authority)
    }

    /// As origins are (RFC 6454, section 4): all requests are for `https` addresses, so that no port is 443.
    #[test]
    fn hosts_with_and_without_the_default_port_are_the_same() {
        for same in [
            ["pir.example", "pir.example:443"],
            ["PIR.example", "pir.EXAMPLE:443"],
            ["192.0.2.1", "192.0.2.1:443"],
            ["[2001:db8::1]", "[2001:DB8::1]:443"],
        ] {
            assert_eq!(compared(same[0]), compared(same[1]));
        }
        for other in [
            ["pir.example", "pir.example:80"],
            ["pir.example", "pir.example:442"],
            ["pir.example", "pir.example:444"],
            ["pir.example:443", "pir.example:8443"],
            ["pir.example", "pir.example.org"],
            ["[2001:db8::1]", "[2001:db8::1]:8443"],
        ] {
            assert_ne!(compared(other[0]), compared(other[1]));
        }
        assert_eq!(compared("pir.example:08443"), compared("pir.example:8443"));
    }

    #[test]
    fn what_is_no_name_with_a_port_is_no_host() {
        for text in ["a:", "a:65536", "a:b", "u@a", "u:p@a:443", ":443"] {
            assert!(
                !text.parse::<Authority>().is_ok_and(|authority| is_host(&authority)),
                "{text}"
            );
        }
    }
}
