//! Which keys block everything that another key blocks.

use super::names::split_place;

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

/// The lengths that some keys have, in bytes. A long key has millions of texts that would cover it, and most of them have no length
/// that a key has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lengths(Vec<u64>);

impl Lengths {
    /// The lengths of these keys.
    pub(crate) fn of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut lengths = Self::default();
        keys.for_each(|key| lengths.add(key.len()));
        lengths
    }

    pub(crate) fn add(&mut self, length: usize) {
        let word = length / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (length % 64);
    }

    /// A length that is larger than all.
    fn bound(&self) -> usize {
        64 * self.0.len()
    }

    fn has(&self, length: usize) -> bool {
        self.0.get(length / 64).is_some_and(|word| word >> (length % 64) & 1 == 1)
    }
}

/// Calls `visit` for each text other than `key` itself that, as a key, blocks everything that `key` blocks, and has one of
/// `lengths`: its host with each shorter path, and the parents of the host, as far as `reach` says. Stops when `visit` returns
/// `true`, and returns whether it did. `key` has no scheme.
pub(crate) fn any_cover(
    key: &str,
    reach: Reach,
    lengths: &Lengths,
    mut visit: impl FnMut(&str) -> bool,
) -> bool {
    let (host, port, tail) = split_place(key);
    let is_name = !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    let mut text = String::with_capacity(key.len());
    let mut current = Some(host);
    while let Some(head) = current {
        let is_host_itself = head.len() == host.len();
        let with_port = (reach.ports && !port.is_empty()).then_some(port);
        for port in with_port.into_iter().chain([""]) {
            text.clear();
            text.push_str(head);
            text.push_str(port);
            if text.len() < key.len() && lengths.has(text.len()) && visit(&text) {
                return true;
            }
            if is_host_itself || reach.parents_with_paths {
                let head_length = text.len();
                let bound = key.len().min(lengths.bound());
                let ends = path_ends(tail).take_while(|end| head_length + end < bound);
                for end in ends.filter(|end| lengths.has(head_length + end)) {
                    text.truncate(head_length);
                    text.push_str(&tail[..end]);
                    if visit(&text) {
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
        let mut lengths = Lengths::default();
        (0..key.len()).for_each(|length| lengths.add(length));
        any_cover(key, reach, &lengths, |text| {
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

    /// At one below a length that keys have, at it, and one above.
    #[test]
    fn texts_of_other_lengths_are_left_out() {
        let key = "a.b.example/xy/z";
        for (length, expected) in [
            ("b.example".len(), vec!["b.example"]),
            ("b.example".len() + 1, vec![]),
            ("a.b.example".len(), vec!["a.b.example"]),
            ("a.b.example".len() + 1, vec!["b.example/xy"]),
            ("a.b.example".len() + 3, vec!["a.b.example/xy", "b.example/xy/z"]),
            (key.len(), vec![]),
        ] {
            let lengths = Lengths::of([&vec![b'x'; length][..]].into_iter());
            let mut found = Vec::new();
            any_cover(key, ALL, &lengths, |text| {
                found.push(text.to_owned());
                false
            });
            found.dedup();
            assert_eq!(found, expected, "{length}");
        }
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
