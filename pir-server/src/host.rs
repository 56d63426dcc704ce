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
