//! Which keys block everything that another key blocks.

use super::names::split_host;

/// How far the keys of a host and its parents reach on the systems that a filter is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// Whether every system asks for the parents of a host.
    pub(crate) parents: bool,
    /// Whether every system asks for the parents of a host with each path.
    pub(crate) parents_with_paths: bool,
    /// Whether every system that asks for a port asks for it with parents and shorter paths, too.
    pub(crate) ports: bool,
}

/// Calls `visit` for each text other than `key` itself that, as a key, blocks everything that `key` blocks: its host
/// with each shorter path, and the parents of the host, as far as `reach` says. Stops when `visit` returns `true`, and
/// returns whether it did. `key` has no scheme.
pub(crate) fn any_cover(key: &str, reach: Reach, mut visit: impl FnMut(&str) -> bool) -> bool {
    let (host, rest) = split_host(key);
    let is_name = !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    let (port, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let mut text = String::with_capacity(key.len());
    let mut current = Some(host);
    while let Some(head) = current {
        let is_host_itself = head.len() == host.len();
        let with_port = (reach.ports && !port.is_empty()).then_some(port);
        for port in with_port.into_iter().chain([""]) {
            text.clear();
            text.push_str(head);
            text.push_str(port);
            if text.len() < key.len() && visit(&text) {
                return true;
            }
            if is_host_itself || reach.parents_with_paths {
                let head_length = text.len();
                for end in path_ends(tail) {
                    text.truncate(head_length);
                    text.push_str(&tail[..end]);
                    if text.len() < key.len() && visit(&text) {
                        return true;
                    }
                }
            }
        }
        current = head
            .split_once('.')
            .map(|(_, parent)| parent)
            .filter(|parent| is_name && reach.parents && parent.contains('.'));
    }
    false
}

/// Where the shorter forms of a path, query and fragment end: behind each segment of the path, the whole path, and the
/// query.
fn path_ends(tail: &str) -> impl Iterator<Item = usize> {
    let path = tail.find(['?', '#']).unwrap_or(tail.len());
    let query = tail[path..].find('#').map_or(tail.len(), |fragment| path + fragment);
    let segments = tail[..path].match_indices('/').map(|(slash, _)| slash).skip(1);
    // A path is a key without the slashes at its end, and `/a//b` asks for `/a` and `/a//`, not for `/a/`.
    let bytes = tail.as_bytes();
    let segments = segments.filter(move |&end| bytes[end - 1] != b'/');
    let whole = [path, query, tail.len()].into_iter().filter(|&end| end > 1);
    segments.chain(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(key: &str, reach: Reach) -> Vec<String> {
        let mut found = Vec::new();
        any_cover(key, reach, |text| {
            found.push(text.to_owned());
            false
        });
        found.dedup();
        found
    }

    const ALL: Reach = Reach { parents: true, parents_with_paths: true, ports: true };
    const HOSTS: Reach = Reach { parents: true, parents_with_paths: false, ports: true };
    const EXACT: Reach = Reach { parents: false, parents_with_paths: false, ports: false };

    #[test]
    fn hosts_are_covered_by_their_parents() {
        assert_eq!(covers("a.b.example", ALL), ["b.example"]);
        assert_eq!(covers("a.b.example", EXACT), [""; 0]);
        assert_eq!(covers("b.example", ALL), [""; 0]);
        assert_eq!(covers("192.0.2.1", ALL), [""; 0]);
        assert_eq!(covers("[2001:db8::1]:80", ALL), ["[2001:db8::1]"]);
    }

    #[test]
    fn paths_are_covered_by_shorter_ones() {
        assert_eq!(
            covers("b.example/x/y?q#f", EXACT),
            ["b.example", "b.example/x", "b.example/x/y", "b.example/x/y?q"]
        );
        assert_eq!(covers("a.b.example/x", HOSTS), ["a.b.example", "b.example"]);
        assert_eq!(covers("a.b.example/x", ALL), ["a.b.example", "b.example", "b.example/x"]);
        assert_eq!(
            covers("a.b.example:81/x", HOSTS),
            ["a.b.example:81", "a.b.example", "a.b.example/x", "b.example:81", "b.example"]
        );
        assert_eq!(covers("b.example/?q", EXACT), ["b.example"]);
        assert_eq!(
            covers("b.example:81/x/y", EXACT),
            ["b.example", "b.example/x", "b.example/x/y"]
        );
    }
}
