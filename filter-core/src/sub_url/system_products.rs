//! The sub-URLs of released systems as products.

use super::device_url::DeviceUrl;
use super::expansion::{Hosts, Parents, Path, Product, Tail, has_capital, without_www};
use super::respelled::WWW;
use super::rule::SubUrlRule;
use super::system::{Certainty, System};
use super::url_parts::HostKind;
use std::borrow::Cow;

/// All sub-URLs of a URL under the rule of 27 without a configuration.
pub(super) fn product_of_27_unconfigured<'u>(url: &'u DeviceUrl<'_>) -> Product<'u> {
    let mut product = product_of_27(url);
    product.hosts.parents = Parents::None;
    // Whether `www.` is removed is not known.
    let has_www = without_www(url) != url.host();
    product.hosts.extra = has_www.then_some(("", url.host()));
    product
}

/// All sub-URLs of a URL under the rule of 27.
pub(super) fn product_of_27<'u>(url: &'u DeviceUrl<'_>) -> Product<'u> {
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

/// The products of a URL under the rule of 26, and the strings that belong to none. No two strings are equal.
pub(super) fn products_of_26<'u>(url: &'u DeviceUrl<'_>) -> (Vec<Product<'u>>, Vec<String>) {
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
                && !sub_url.eq_ignore_ascii_case(&url.verbatim());
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
