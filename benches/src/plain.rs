//! The rules written down plainly: one string per sub-URL, both hashes of each, then its probes.
//!
//! What a straightforward port of the documentation does. It is the peer of the check benches, and a
//! test holds its answers against the library's.

use filter_core::bloom::BloomFilter;
use filter_core::hash::{Fnv1a, Murmur3};
use std::collections::HashSet;
use url::{Host, Url};

/// All sub-URLs of `url` under the current rule.
#[must_use]
pub fn sub_urls(url: &str) -> Option<HashSet<String>> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_lowercase();
    let mut hosts = Vec::new();
    if let Some(Host::Domain(_)) = url.host() {
        let labels: Vec<&str> = host.strip_prefix("www.").unwrap_or(&host).split('.').collect();
        for start in 0..labels.len().saturating_sub(1).max(1) {
            hosts.push(labels[start..].join("."));
        }
    } else {
        hosts.push(host);
    }
    let port = url.port_or_known_default();
    let path = url.path().trim_end_matches('/');
    let mut forms = vec![String::new(), "/".to_owned()];
    for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
        forms.push(path[..at].to_owned());
        forms.push(format!("{}/", &path[..at]));
    }
    let query = url.query().filter(|q| !q.is_empty()).map(|q| format!("?{q}")).unwrap_or_default();
    let fragment =
        url.fragment().filter(|f| !f.is_empty()).map(|f| format!("#{f}")).unwrap_or_default();
    for slash in ["", "/"] {
        forms.push(format!("{path}{slash}{query}"));
        forms.push(format!("{path}{slash}{query}{fragment}"));
    }
    let mut all = HashSet::new();
    for host in &hosts {
        for form in &forms {
            all.insert(format!("{host}{form}").to_lowercase());
            if let Some(port) = port {
                all.insert(format!("{host}:{port}{form}").to_lowercase());
            }
        }
    }
    Some(all)
}

/// Whether any sub-URL of `url` is in the filter.
#[must_use]
pub fn may_match(filter: &BloomFilter<Vec<u8>>, url: &str) -> bool {
    let parameters = filter.parameters();
    sub_urls(url).is_some_and(|all| {
        all.iter().any(|sub_url| {
            let h1 = Fnv1a::hash(sub_url.as_bytes());
            let h2 = Murmur3::hash(sub_url.as_bytes(), parameters.murmur_seed());
            (0..parameters.hash_count()).all(|i| {
                let bit = h1.wrapping_add(i.wrapping_mul(h2)) % parameters.bit_count();
                filter.bytes()[(bit / 8) as usize] >> (bit % 8) & 1 == 1
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{synthetic_filter, typical_urls};
    use filter_core::sub_url::SubUrlRule;

    #[test]
    fn the_peer_gives_the_same_answers() {
        let filter = synthetic_filter(1_000);
        let rule = SubUrlRule::default();
        let mut urls = typical_urls(200);
        urls.extend(
            [
                "http://host7.example/path7/deeper?q#f",
                "https://www.sub1.example.com/a/b/c?id=123#fragment",
                "https://192.0.2.7/x//y/",
                "https://localhost/#f",
                "https://Host8.Example:8443/Path8",
            ]
            .map(str::to_owned),
        );
        for url in &urls {
            let parsed = rule.parse(url).unwrap();
            let expanded = parsed.sub_urls();
            let mut peers: Vec<String> = sub_urls(url).unwrap().into_iter().collect();
            peers.sort();
            assert_eq!(expanded.sorted(1_000).unwrap(), peers, "{url}");
            assert_eq!(expanded.may_hit(&filter), may_match(&filter, url), "{url}");
        }
    }
}
