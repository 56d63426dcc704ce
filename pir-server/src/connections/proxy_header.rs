//! The header with which a balancer says whose connection it forwards: the PROXY protocol, versions 1 and 2, as
//! HAProxy specifies it (`doc/proxy-protocol.txt`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How a header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest header of version 1, with its line end.
const MAX_LINE_BYTES: usize = 107;
/// Longest rest of a header of version 2: addresses, and further fields, which are skipped.
const MAX_REST_BYTES: usize = 2048;

/// A connection does not begin with a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NotAHeader;

impl From<NotAHeader> for io::Error {
    fn from(_: NotAHeader) -> Self {
        Self::new(io::ErrorKind::InvalidData, "not a header of the PROXY protocol")
    }
}

/// Reads the header, and no byte after it. `None` if it names no address: the balancer's own connection, such as a
/// health check.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if it is not a header; otherwise what the stream reports.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut first = [0; 16];
    stream.read_exact(&mut first[..8]).await?;
    if first[..8] == SIGNATURE[..8] {
        stream.read_exact(&mut first[8..]).await?;
        let rest = usize::from(u16::from_be_bytes([first[14], first[15]]));
        if rest > MAX_REST_BYTES {
            return Err(NotAHeader.into());
        }
        let mut bytes = vec![0; rest];
        stream.read_exact(&mut bytes).await?;
        return Ok(binary(&first, &bytes)?);
    }
    // Byte by byte: the line has no length, and what follows it belongs to TLS or HTTP.
    let mut line = first[..8].to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MAX_LINE_BYTES {
            return Err(NotAHeader.into());
        }
        line.push(stream.read_u8().await?);
    }
    Ok(text(&line)?)
}

/// A header of version 2: its first 16 bytes, and the others.
fn binary(first: &[u8; 16], rest: &[u8]) -> Result<Option<IpAddr>, NotAHeader> {
    if first[..12] != SIGNATURE[..] || first[12] >> 4 != 2 {
        return Err(NotAHeader);
    }
    match (first[12] & 0x0f, first[13] >> 4) {
        // LOCAL, and PROXY for a family that has no addresses of hosts.
        (0, _) | (1, 0 | 3) => Ok(None),
        // Two addresses and two ports.
        (1, 1) if rest.len() >= 12 => {
            let address: [u8; 4] = rest[..4].try_into().expect("four bytes");
            Ok(Some(Ipv4Addr::from(address).into()))
        }
        (1, 2) if rest.len() >= 36 => {
            let address: [u8; 16] = rest[..16].try_into().expect("sixteen bytes");
            Ok(Some(Ipv6Addr::from(address).into()))
        }
        _ => Err(NotAHeader),
    }
}

/// A header of version 1, with its line end.
fn text(line: &[u8]) -> Result<Option<IpAddr>, NotAHeader> {
    let line = line.strip_suffix(b"\r\n").ok_or(NotAHeader)?;
    let line = str::from_utf8(line).map_err(|_| NotAHeader)?;
    let mut words = line.split(' ');
    if words.next() != Some("PROXY") {
        return Err(NotAHeader);
    }
    let family = words.next().ok_or(NotAHeader)?;
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let mut address = || words.next().and_then(|word| word.parse::<IpAddr>().ok());
    let (Some(source), Some(destination)) = (address(), address()) else { return Err(NotAHeader) };
    let ports = words.map(str::parse::<u16>).collect::<Result<Vec<_>, _>>();
    let is_version_6 = match family {
        "TCP4" => false,
        "TCP6" => true,
        _ => return Err(NotAHeader),
    };
    let as_named = source.is_ipv6() == is_version_6 && destination.is_ipv6() == is_version_6;
    if !as_named || ports.map_or(0, |ports| ports.len()) != 2 {
        return Err(NotAHeader);
    }
    Ok(Some(source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn parse(bytes: &[u8]) -> Result<(Option<IpAddr>, Vec<u8>), io::ErrorKind> {
        let mut stream = bytes;
        let address = read(&mut stream).await.map_err(|error| error.kind())?;
        Ok((address, stream.to_vec()))
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family << 4 | 1], &length, rest].concat()
    }

    #[tokio::test]
    async fn both_versions_name_the_source() {
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let mut v4 = vec![192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2];
        let mut v6 = vec![0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n".to_vec(), ip("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(), ip("2001:db8::1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ::1 1 2\r\n".to_vec(), None),
            (version_2(1, 1, &v4), ip("192.0.2.7")),
            (version_2(1, 2, &v6), ip("2001::")),
            (version_2(0, 0, &[]), None),
            (version_2(0, 1, &v4), None),
            (version_2(1, 3, &[0; 216]), None),
        ] {
            let bytes = [&header[..], b"GET / HTTP/1.1"].concat();
            let (address, rest) = parse(&bytes).await.unwrap();
            assert_eq!(address, expected);
            assert_eq!(rest, b"GET / HTTP/1.1");
        }
        // Further fields are skipped, up to the limit.
        for (length, valid) in
            [(MAX_REST_BYTES - 1, true), (MAX_REST_BYTES, true), (MAX_REST_BYTES + 1, false)]
        {
            v4.resize(length, 4);
            assert_eq!(parse(&version_2(1, 1, &v4)).await.is_ok(), valid, "{length}");
        }
    }

    #[tokio::test]
    async fn other_beginnings_are_refused() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 1 65536\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP6 192.0.2.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP5 192.0.2.7 10.0.0.1 1 2\r\n",
            b"PROXY\r\n      \r\n",
        ] {
            assert_eq!(parse(bytes).await.err(), Some(io::ErrorKind::InvalidData), "{bytes:?}");
        }
        for bad in [version_2(2, 1, &[0; 12]), version_2(1, 1, &[0; 11]), version_2(1, 2, &[0; 35])]
        {
            assert_eq!(parse(&bad).await.err(), Some(io::ErrorKind::InvalidData));
        }
        let mut other = version_2(1, 1, &[0; 12]);
        other[12] = 0x31;
        assert_eq!(parse(&other).await.err(), Some(io::ErrorKind::InvalidData));
        // A line without an end.
        for (length, kind) in [
            (MAX_LINE_BYTES - 1, io::ErrorKind::UnexpectedEof),
            (MAX_LINE_BYTES, io::ErrorKind::InvalidData),
        ] {
            let line = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; length - 14]].concat();
            assert_eq!(parse(&line).await.err(), Some(kind), "{length}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), start in 0..3_usize) {
            let start: &[u8] = [&b""[..], &SIGNATURE[..], b"PROXY TCP4 "][start];
            let bytes = [start, &bytes].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(parse(&bytes));
        }
    }
}
