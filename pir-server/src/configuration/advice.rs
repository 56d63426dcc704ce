//! What a configuration says that can be served, and is probably not meant.

use super::{Configuration, UserGroup};
use app_configuration::is_url_filter_use_case;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;

/// What the names of use cases of both kinds of Live Caller ID Lookup end with.
const CALLER_ID_ENDINGS: [&str; 2] = [".block", ".identity"];

impl Configuration {
    /// Sentences about values that can be used and are probably not meant. None of them has a part of a user token.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = token_warnings("users", &self.users);
        for use_case in self.use_cases.iter().filter(|use_case| use_case.is_served()) {
            let name = use_case.name();
            let is_caller_id = CALLER_ID_ENDINGS.iter().any(|ending| name.ends_with(ending));
            if !is_url_filter_use_case(name) && !is_caller_id {
                warnings.push(format!(
                    "use case {name}: devices look up names that end with .url.filtering (URL filters), .block or .identity \
                     (caller ID), behind the app's bundle id"
                ));
            }
        }
        match self.issuer_request_uri.as_deref().map(|uri| (uri, uri.split_once("://"))) {
            None | Some(("/issue", _)) => {}
            Some((_, Some((_, rest)))) => {
                let host = rest.split('/').next().unwrap_or_default();
                warnings.push(format!(
                    "issuerRequestUri: devices send token requests to {host}; only this service, or a node with the same \
                     store, issues tokens that are accepted here"
                ));
            }
            Some((uri, None)) => warnings.push(format!(
                "issuerRequestUri: {uri:?} is a path below the address of the directory, and this service issues tokens at \
                 /issue; leave the key out, or give a whole address"
            )),
        }
        warnings
    }
}

/// About the tokens of groups that a key of the configuration, or a file, has.
pub(crate) fn token_warnings(key: &str, groups: &[UserGroup]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut known: HashMap<&str, (usize, usize)> = HashMap::new();
    for (group, of) in groups.iter().enumerate() {
        for (index, token) in of.tokens.iter().enumerate() {
            let place = format!("{key}[{group}].tokens[{index}]");
            if token.contains(char::is_whitespace) {
                warnings.push(format!(
                    "{place}: it has white space, which no token that a device sends has; what follows `Bearer ` is the token"
                ));
            } else if STANDARD.decode(token.as_bytes()).is_err() {
                warnings.push(format!(
                    "{place}: it is not standard base64 (RFC 4648, with padding), and devices of 26 send no other token"
                ));
            }
            if let Some((other, at)) = known.insert(token, (group, index))
                && groups[other].tier != of.tier
            {
                warnings.push(format!(
                    "{place}: {key}[{other}].tokens[{at}] is the same token, with {}; the last one counts, {}",
                    groups[other].tier.name(),
                    of.tier.name()
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Tier;

    fn group(tier: Tier, tokens: &[&str]) -> UserGroup {
        UserGroup::new(tier, tokens.iter().map(|&token| token.to_owned()).collect())
    }

    fn warnings(text: &str) -> Vec<String> {
        Configuration::parse(text.as_bytes()).unwrap().warnings()
    }

    #[test]
    fn tokens_that_are_probably_not_meant_are_told_and_not_shown() {
        let one = group(Tier::Tier1, &["AAAA", "YQ=="]);
        let good = [one.clone(), group(Tier::Tier1, &["AAAA"]), group(Tier::Tier2, &["BBBB"])];
        assert_eq!(token_warnings("users", &good), [""; 0]);
        for (token, expected) in [
            (
                "AAAA",
                "users[1].tokens[0]: users[0].tokens[0] is the same token, with tier1; the last",
            ),
            ("eyJh.eyJz.c2ln", "users[1].tokens[0]: it is not standard base64"),
            ("Bearer CCCC", "users[1].tokens[0]: it has white space"),
            ("CCCC\n", "users[1].tokens[0]: it has white space"),
            ("YQ", "users[1].tokens[0]: it is not standard base64"),
        ] {
            let found = token_warnings("users", &[one.clone(), group(Tier::Tier2, &[token])]);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
            assert!(!found[0].contains(token), "{found:?}");
        }
    }

    #[test]
    fn names_and_addresses_that_devices_do_not_use_are_told() {
        let with = |name: &str, more: &str| {
            warnings(&format!(
                r#"{{"users": [], "usecases": [{{"name": "{name}", "fileStem": "x"}}]{more}}}"#
            ))
        };
        for ending in [".url.filtering", ".block", ".identity"] {
            assert_eq!(with(&format!("com.example.app{ending}"), ""), [""; 0]);
        }
        let found = with("com.example.app", "");
        assert!(
            found.len() == 1 && found[0].starts_with("use case com.example.app: "),
            "{found:?}"
        );
        let name = "com.example.app.url.filtering";
        assert_eq!(with(name, r#", "issuerRequestUri": "/issue""#), [""; 0]);
        let found = with(name, r#", "issuerRequestUri": "https://issuer.example/issue""#);
        assert!(found.len() == 1 && found[0].contains(" issuer.example;"), "{found:?}");
    }
}
