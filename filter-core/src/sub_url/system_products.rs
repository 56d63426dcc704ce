//! The sub-URLs of released systems as products.

use super::device_url::DeviceUrl;
use super::expansion::{Hosts, Parents, Path, Product, Tail, has_capital, without_www};
use super::rule::SubUrlRule;
use super::system::{Certainty, System};
use super::url_parts::HostKind;
use std::borrow::Cow;

const WWW: &str = "www.";

/// Parts of a URL as a system spells them, where that differs from the URL itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Respelled {
    /// The path: without empty segments, on 26 also percent-decoded.
    path: Option<String>,
    /// On 26 the host with each `www.` taken out.
    bare_host: Option<String>,
    /// On 26 what follows `://`, if no product has it.
    verbatim: Option<String>,
}

impl Respelled {
    pub(super) fn of(url: &DeviceUrl<'_>, system: System) -> Self {
        let path = match system {
            System::V26 => decoded_components(url.path()),
            System::V27 | System::V27Unconfigured => without_empty_segments(url.path()),
        };
        let mut respelled = Self { path, ..Self::default() };
        if system == System::V26 {
            let inner = url.host().strip_prefix(WWW).unwrap_or(url.host());
            if url.host_kind() == HostKind::Name && inner.contains(WWW) {
                respelled.bare_host = Some(url.host().replace(WWW, ""));
            }
            if !verbatim_is_in_products(url, &respelled) {
                respelled.verbatim = Some(verbatim(url));
            }
        }
        respelled
    }

    /// The path, if it differs from that of the URL.
    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

/// All that follows `://`.
fn verbatim(url: &DeviceUrl<'_>) -> String {
    let mut text = url.user_info().to_owned();
    url.write_behind_scheme(&mut text);
    text
}

fn verbatim_is_in_products(url: &DeviceUrl<'_>, respelled: &Respelled) -> bool {
    if !url.user_info().is_empty() || url.port().is_some() || respelled.path.is_some() {
        return false;
    }
    let is_whole = url.query().is_empty() && url.fragment().is_empty();
    let is_root = url.path().is_empty();
    let slashes = url.slashes();
    if respelled.bare_host.is_some() && !url.host().starts_with(WWW) && !(is_root && is_whole) {
        return false;
    }
    slashes == 0 || slashes == 1 && (is_root || is_whole)
}

/// The path without empty segments; `None` if it has none.
fn without_empty_segments(path: &str) -> Option<String> {
    path.contains("//").then(|| join(path, |segment, all| all.push_str(segment)))
}

/// The path without empty segments, the others percent-decoded; `None` if that changes nothing. A segment that does not
/// decode to UTF-8 stays as it is.
fn decoded_components(path: &str) -> Option<String> {
    let is_plain = !path.contains('%') && !path.contains("//");
    if is_plain {
        return None;
    }
    let joined = join(path, |segment, all| match String::from_utf8(percent_decoded(segment)) {
        Ok(decoded) => all.push_str(&decoded),
        Err(_) => all.push_str(segment),
    });
    (joined != path).then_some(joined)
}

fn join(path: &str, mut write: impl FnMut(&str, &mut String)) -> String {
    let mut all = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        all.push('/');
        write(segment, &mut all);
    }
    all
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|&b| char::from(b).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = (digit(bytes.get(at + 1)), digit(bytes.get(at + 2)));
        if let (b'%', (Some(high), Some(low))) = (byte, digits) {
            decoded.push((high * 16 + low) as u8);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    decoded
}

/// The products of a URL under the rule of a system, and the strings that belong to none. No two strings are equal.
pub(super) fn products<'u>(
    url: &'u DeviceUrl<'_>,
    system: System,
) -> (Vec<Product<'u>>, Vec<String>) {
    match system {
        System::V26 => products_of_26(url),
        System::V27 => (vec![product_of_27(url)], Vec::new()),
        System::V27Unconfigured => {
            let mut product = product_of_27(url);
            product.hosts.parents = Parents::None;
            // Whether `www.` is removed is not known.
            let has_www = without_www(url) != url.host();
            product.hosts.extra = has_www.then_some(("", url.host()));
            (vec![product], Vec::new())
        }
    }
}

fn product_of_27<'u>(url: &'u DeviceUrl<'_>) -> Product<'u> {
    let mut product = Product::walked(url, Tail::Current);
    product.path = Path::Walked(url.spelled_path());
    product.port = url.port().or(match url.scheme() {
        "http" => Some(80),
        "https" => Some(443),
        "ftp" => Some(21),
        "ftps" => Some(990),
        "ssh" => Some(22),
        "telnet" => Some(23),
        _ => None,
    });
    product
}

fn products_of_26<'u>(url: &'u DeviceUrl<'_>) -> (Vec<Product<'u>>, Vec<String>) {
    let respelled = url.respelled();
    let is_name = url.host_kind() == HostKind::Name;
    let host = url.host();
    let behind_www = host.strip_prefix(WWW).filter(|_| is_name);
    // The host with `www.` in front, and the host without any.
    let with_www = is_name.then_some((if behind_www.is_some() { "" } else { WWW }, host));
    let bare = respelled.bare_host.as_deref().unwrap_or(behind_www.unwrap_or(host));
    let bare = (!bare.is_empty()).then_some(bare);
    let hosts = Hosts { extra: with_www, next: bare, parents: Parents::None, without: None };
    let whole = Product {
        hosts,
        port: None,
        path: Path::Walked(url.spelled_path()),
        ..Product::walked(url, Tail::Ios26_0)
    };
    let mut products = Vec::with_capacity(3);
    let tail = [url.spelled_path(), url.query(), url.fragment()];
    let is_mixed = tail.into_iter().any(has_capital);
    if is_mixed {
        products.push(Product { lowered: true, ..whole.clone() });
    }
    if is_name {
        products.push(Product {
            hosts: Hosts {
                extra: None,
                next: Some(behind_www.unwrap_or(host)).filter(|host| !host.is_empty()),
                parents: Parents::All,
                without: bare,
            },
            path: Path::Walked(""),
            query: Cow::Borrowed(""),
            fragment: "",
            ..whole.clone()
        });
    }
    products.push(whole);
    let mut others = Vec::new();
    if let Some(verbatim) = &respelled.verbatim {
        others.push(verbatim.clone());
        others.extend(has_capital(verbatim).then(|| verbatim.to_ascii_lowercase()));
    }
    (products, others)
}

/// Under which readings the system of the URL's rule asks for one of its sub-URLs. `is_lowered` says that the text came out
/// of lowering letters.
pub(super) fn certainty(url: &DeviceUrl<'_>, sub_url: &str, is_lowered: bool) -> Certainty {
    match url.rule() {
        SubUrlRule::System(System::V26) => {
            // First open fact: letters as written, or in lower case.
            let letters = match is_lowered || has_capital(sub_url) {
                true => Certainty::first_fact(is_lowered),
                false => Certainty::CERTAIN,
            };
            // Second open fact: whether the slash of a root stands in front of its query. In the verbatim text it does.
            let is_open = url.path().is_empty()
                && sub_url.contains(['?', '#'])
                && !sub_url.eq_ignore_ascii_case(&verbatim(url));
            let root = match is_open {
                true => {
                    let end = sub_url.find(['?', '#']).unwrap_or(sub_url.len());
                    Certainty::second_fact(!sub_url[..end].ends_with('/'))
                }
                false => Certainty::CERTAIN,
            };
            letters.and(root)
        }
        // Open fact: whether `www.` is removed.
        SubUrlRule::System(System::V27Unconfigured) if without_www(url) != url.host() => {
            Certainty::first_fact(sub_url.starts_with(url.host()))
        }
        _ => Certainty::CERTAIN,
    }
}
