//! `rule.parse(url)`: a URL as a device sees it, together with the rule that it was parsed for.

use super::parts::{is_hostless, split_scheme, split_special_scheme, trim};
use super::respelled::Respelled;
use super::rule::SubUrlRule;
use super::url_parts::{HostKind, MAX_URL_LENGTH, UrlError, UrlParts};
use super::{serialised, url_parts::Case};

/// A URL as the device's expansion sees it, parsed for one [`SubUrlRule`]: serialised by the WHATWG URL standard,
/// host in punycode, without user info, without one trailing dot of the host and all trailing slashes of the path.
///
/// Made by [`SubUrlRule::parse`]; [`sub_urls`](Self::sub_urls) expands it by the same rule, so that a URL can never
/// meet a rule that wants another case of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceUrl<'r> {
    rule: &'r SubUrlRule,
    parts: UrlParts,
    respelled: Respelled,
}

impl SubUrlRule {
    /// Parses an absolute URL for this rule.
    ///
    /// ```
    /// use filter_core::sub_url::SubUrlRule;
    ///
    /// let rule = SubUrlRule::default();
    /// let url = rule.parse("https://www.Example.com/Login")?;
    /// assert_eq!((url.host(), url.path()), ("www.example.com", "/login"));
    /// # Ok::<(), filter_core::sub_url::UrlError>(())
    /// ```
    ///
    /// # Errors
    /// [`UrlError`] if the text is not an absolute URL with a host, or is longer than [`MAX_URL_LENGTH`].
    pub fn parse(&self, url: &str) -> Result<DeviceUrl<'_>, UrlError> {
        let parts = parse(url, self.case())?;
        Ok(DeviceUrl::new(self, parts))
    }

    /// Parses what people write: a URL, or a host with or without port and path, for which `https` is assumed.
    ///
    /// This is the one function from text to URL of every command and of `filter-client`. A text that begins with
    /// `http:`, `https:`, `ws:`, `wss:` or `ftp:` goes to [`parse`](Self::parse) as it is, so that the WHATWG parser
    /// alone decides what it means.
    ///
    /// ```
    /// use filter_core::sub_url::SubUrlRule;
    ///
    /// let rule = SubUrlRule::default();
    /// for text in ["a.example/x", "https:\\\\a.example\\x", "https:/a.example/x", "ht\ttps://a.example/x"] {
    ///     assert_eq!(rule.parse_lenient(text)?.serialised(), "https://a.example/x");
    /// }
    /// # Ok::<(), filter_core::sub_url::UrlError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_lenient(&self, text: &str) -> Result<DeviceUrl<'_>, UrlError> {
        if split_special_scheme(text).is_some() {
            return self.parse(text);
        }
        let text = trim(text);
        match split_scheme(text) {
            Some(_) => self.parse(text),
            None if is_hostless(text) => Err(UrlError::NoHost),
            None => self.parse(&format!("https://{text}")),
        }
    }

    /// Parses what follows `http://` in a URL, as block lists write their entries.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_schemeless(&self, rest: &str) -> Result<DeviceUrl<'_>, UrlError> {
        check_length(rest)?;
        let case = self.case();
        match serialised::parse_behind_scheme("http://", 80, rest, case) {
            Some(parts) => Ok(DeviceUrl::new(self, parts)),
            None => self.parse(&format!("http://{rest}")),
        }
    }
}

fn check_length(url: &str) -> Result<(), UrlError> {
    if url.len() > MAX_URL_LENGTH { Err(UrlError::TooLong(url.len())) } else { Ok(()) }
}

fn parse(url: &str, case: Case) -> Result<UrlParts, UrlError> {
    check_length(url)?;
    match serialised::parse(url, case) {
        Some(parts) => Ok(parts),
        #[cfg(feature = "url")]
        None => super::whatwg::parse(url, case),
        #[cfg(not(feature = "url"))]
        None => Err(UrlError::ParserMissing),
    }
}

impl<'r> DeviceUrl<'r> {
    fn new(rule: &'r SubUrlRule, parts: UrlParts) -> Self {
        let respelled = match rule {
            SubUrlRule::System(system) => Respelled::of(&parts, *system),
            _ => Respelled::default(),
        };
        Self { rule, parts, respelled }
    }

    /// The parts that the rule of a system spells in another way.
    pub(super) fn respelled(&self) -> &Respelled {
        &self.respelled
    }

    /// All that follows `://`, with user name and password.
    pub(super) fn verbatim(&self) -> String {
        self.parts.verbatim()
    }

    /// All that follows `://` as the WHATWG parser serialises it, with an empty query or fragment, but without user name and
    /// password: what 26 asks for beside all other sub-URLs.
    ///
    /// ```
    /// use filter_core::sub_url::SubUrlRule;
    ///
    /// let rule = SubUrlRule::default();
    /// assert_eq!(rule.parse("http://a.example:8080/p/?#")?.whole(), "a.example:8080/p/?#");
    /// # Ok::<(), filter_core::sub_url::UrlError>(())
    /// ```
    #[must_use]
    pub fn whole(&self) -> String {
        self.parts.whole()
    }

    /// The rule that the URL was parsed for.
    #[must_use]
    pub fn rule(&self) -> &'r SubUrlRule {
        self.rule
    }

    /// The scheme, lower case, without `://`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.parts.text[..self.parts.host_start - 3]
    }

    /// The scheme with `://`.
    pub(super) fn scheme_prefix(&self) -> &str {
        &self.parts.text[..self.parts.host_start]
    }

    /// The host in punycode, lower case, without a trailing dot; IPv6 in brackets. Never empty.
    #[must_use]
    pub fn host(&self) -> &str {
        self.parts.host()
    }

    /// Whether the host is a name or an address.
    #[must_use]
    pub fn host_kind(&self) -> HostKind {
        self.parts.host_kind
    }

    /// The port, if the URL names one other than its scheme's default.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.parts.port
    }

    /// The port that the request goes to, if the scheme has a default or the URL names one.
    #[must_use]
    pub fn effective_port(&self) -> Option<u16> {
        self.parts.port.or(self.parts.default_port)
    }

    /// Whether the URL as written spelled out its scheme's default port.
    #[must_use]
    pub fn default_port_written(&self) -> bool {
        self.parts.default_port_written
    }

    /// The path without trailing slashes: empty for the root, else starting with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts.path()
    }

    /// The path as its sub-URLs have it: [`path`](Self::path), but under the rule of a [`System`](super::System) without
    /// empty segments, and on 26 percent-decoded.
    #[must_use]
    pub fn spelled_path(&self) -> &str {
        self.respelled.path().unwrap_or(self.path())
    }

    /// `?` and the query, or nothing. An empty query counts as absent, but in [`whole`](Self::whole).
    #[must_use]
    pub fn query(&self) -> &str {
        self.parts.query()
    }

    /// `#` and the fragment, or nothing. An empty fragment counts as absent.
    #[must_use]
    pub fn fragment(&self) -> &str {
        self.parts.fragment()
    }

    /// Whether the URL had slashes behind [`path`](Self::path), the one of the root not counted.
    #[must_use]
    pub fn had_trailing_slash(&self) -> bool {
        self.parts.slashes > usize::from(self.path().is_empty())
    }

    /// The URL as the WHATWG parser serialises it, without user info and empty parts.
    #[must_use]
    pub fn serialised(&self) -> String {
        let mut url = self.scheme_prefix().to_owned();
        self.parts.write_behind_scheme(&mut url);
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "url")]
    use proptest::prelude::*;

    /// Both parsers agree on what the quick one takes.
    #[cfg(feature = "url")]
    fn agree(url: &str) -> Result<(), TestCaseError> {
        for case in [Case::Ignored, Case::Kept] {
            if let Some(quick) = serialised::parse(url, case) {
                prop_assert_eq!(Ok(quick), crate::sub_url::whatwg::parse(url, case), "{}", url);
            }
        }
        Ok(())
    }

    #[cfg(feature = "url")]
    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn both_parsers_agree_on_likely_urls(
            url in "https?://([a-zA-Z0-9_-]{0,5}\\.){0,3}[a-zA-Z0-9_-]{1,4}(:[0-9]{0,6})?\
                    (/[a-zA-Z0-9.%_~!$&()*+,;=:@{}|^'-]{0,5}){0,4}(\\?[!-~]{0,8})?(#[!-~]{0,8})?"
        ) {
            agree(&url)?;
        }

        #[test]
        fn both_parsers_agree_on_any_text(rest in "[ -~\t\n\u{80}-\u{ff}]{0,24}") {
            agree(&format!("http://{rest}"))?;
            agree(&format!("https://a.example/{rest}"))?;
            agree(&format!("https://a.example?{rest}"))?;
        }
    }

    #[test]
    fn the_quick_parser_takes_ordinary_urls() {
        for url in [
            "https://www.sub1.example.com/a/b/c?id=123#fragment",
            "http://Example.COM:8080/PaTh/",
            "https://example.com",
            "https://example.com?x",
        ] {
            assert!(serialised::parse(url, Case::Ignored).is_some(), "{url}");
        }
    }

    #[test]
    fn a_url_of_65536_bytes_is_the_longest() {
        let rule = SubUrlRule::default();
        for (length, accepted) in
            [(MAX_URL_LENGTH - 1, true), (MAX_URL_LENGTH, true), (MAX_URL_LENGTH + 1, false)]
        {
            for scheme in ["https://", ""] {
                let start = format!("{scheme}example.com/");
                let url = format!("{start}{}", "a".repeat(length - start.len()));
                let parsed = match scheme {
                    "" => rule.parse_schemeless(&url).map(drop),
                    _ => rule.parse(&url).map(drop),
                };
                let expected = if accepted { Ok(()) } else { Err(UrlError::TooLong(length)) };
                assert_eq!(parsed, expected, "{scheme:?}");
            }
        }
    }

    #[cfg(not(feature = "url"))]
    #[test]
    fn without_the_full_parser_a_url_that_needs_it_is_an_error() {
        let rule = SubUrlRule::default();
        for url in
            ["https://b\u{fc}cher.example/", "https://192.0.2.7/", "https://a.example/a/../b"]
        {
            assert_eq!(rule.parse(url), Err(UrlError::ParserMissing), "{url}");
        }
    }

    #[cfg(feature = "url")]
    mod whatwg {
        use super::*;

        fn case_sensitive() -> SubUrlRule {
            SubUrlRule::from_json(r#"{"caseSensitive":true}"#).unwrap()
        }

        #[test]
        fn a_url_has_these_parts() {
            let rule = SubUrlRule::default();
            let url = rule.parse("HTTPS://u:p@WWW.Example.com.:443/a/../B//?#f").unwrap();
            assert_eq!((url.scheme(), url.host()), ("https", "www.example.com"));
            let ports = (url.port(), url.effective_port(), url.default_port_written());
            assert_eq!(ports, (None, Some(443), true));
            assert_eq!((url.path(), url.query(), url.fragment()), ("/b", "", "#f"));
            assert_eq!(url.serialised(), "https://www.example.com/b//#f");
            let rule = case_sensitive();
            let url = rule.parse("http://[2001:DB8::1]:443/A").unwrap();
            assert_eq!((url.host(), url.port(), url.path()), ("[2001:db8::1]", Some(443), "/A"));
            assert_eq!(url.host_kind(), HostKind::Address);
        }

        #[test]
        fn what_a_device_cannot_request_is_refused() {
            let rule = SubUrlRule::default();
            for url in ["mailto:a@example.com", "data:text/plain,x", "file:///etc/passwd"] {
                assert_eq!(rule.parse(url), Err(UrlError::NoHost), "{url}");
            }
            for url in
                ["", "example.com/x", "http://", "http://a b/", "http://999.1.1.1/", "http://[::1"]
            {
                assert!(matches!(rule.parse(url), Err(UrlError::Syntax(_))), "{url}");
            }
        }

        #[test]
        fn a_host_without_a_scheme_is_taken_as_https() {
            let rule = SubUrlRule::default();
            let url = rule.parse_lenient("example.com:8443/x").unwrap();
            assert_eq!((url.scheme(), url.port()), ("https", Some(8443)));
            let url = rule.parse_lenient("example.com/?u=http://x").unwrap();
            assert_eq!((url.host(), url.query()), ("example.com", "?u=http://x"));
            assert_eq!(rule.parse_lenient("mailto:a@example.com"), Err(UrlError::NoHost));
        }
    }
}
