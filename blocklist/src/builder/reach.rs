//! What a key blocks under a rule of which its text does not tell it: a parsing configuration, or a regular expression. The rule
//! itself is asked about URLs beside the one that the entry names.

use crate::key::names::{is_ipv4, split_host};
use crate::key::{CanonicalKey, KeyRules, NameRules, Refusal, Remark, Remarks, canonicalise};
use crate::list::{Entry, Scope};
use filter_core::sub_url::{Profile, SubUrlRule};
use std::ops::ControlFlow;

/// A label and a segment that no entry has.
const OTHER: &str = "zz0other0zz";

/// Refuses a key that blocks what no list means, and adds to its remarks what it blocks beyond its entry, which is no row of a
/// data set.
///
/// # Errors
/// [`Refusal::EveryUrl`], and those of [`NameRules::check`] for the entry and for every host that the key blocks.
pub(super) fn check(
    key: &mut CanonicalKey<'_>,
    entry: &Entry<'_>,
    rule: &SubUrlRule,
    names: &NameRules,
) -> Result<(), Refusal> {
    let documented = KeyRules::from(SubUrlRule::Profile(Profile::Current));
    let plain = canonicalise(entry.text, entry.kind, &documented)?.text.into_owned();
    let mut remarks = key.remarks;
    add(&mut remarks, names.check(&plain)?);
    let asks = |url: &str| {
        ["https", "http"].iter().any(|scheme| {
            let url = rule.parse(&format!("{scheme}://{url}"));
            url.is_ok_and(|url| {
                let is_key =
                    |text: &str| key.text == text || key.others.iter().any(|one| one == text);
                let look = |text: &str| match is_key(text) {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                };
                url.sub_urls().for_each(look).is_break()
            })
        })
    };
    let every = [format!("{OTHER}.example/"), format!("{OTHER}.example/{OTHER}?{OTHER}={OTHER}")];
    if every.iter().any(|url| asks(url)) {
        return Err(Refusal::EveryUrl);
    }
    let (host, rest) = split_host(&plain);
    let path_start = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (port, page) = rest.split_at(path_start);
    // The rule may keep what the documented one leaves out.
    let with_www = format!("www.{plain}");
    let www = if !asks(&plain) && asks(&with_www) { "www." } else { "" };
    let is_whole = |host: &str| {
        ["", OTHER, &format!("{OTHER}?{OTHER}={OTHER}")]
            .iter()
            .any(|page| asks(&format!("{www}{host}{port}/{page}")))
    };
    if !page.is_empty() {
        if is_whole(host) {
            add(&mut remarks, names.check(&format!("{host}{port}"))?);
            remarks.add(Remark::CoversWholeHost);
        } else if entry.scope == Scope::Page
            && asks(&format!("{www}{host}{port}{}/{OTHER}", path(page)))
        {
            remarks.add(Remark::CoversPaths);
        }
    }
    if !(host.starts_with('[') || is_ipv4(host)) {
        if matches!(entry.scope, Scope::Host | Scope::Page) && asks(&format!("{OTHER}.{plain}")) {
            remarks.add(Remark::CoversSubdomains);
        }
        let mut parent = host;
        while let Some((_, above)) = parent.split_once('.')
            && (asks(&format!("{above}{rest}")) || asks(&format!("{OTHER}.{above}{rest}")))
        {
            let blocked = match is_whole(above) {
                true => format!("{above}{port}"),
                false => format!("{above}{rest}"),
            };
            add(&mut remarks, names.check(&blocked)?);
            remarks.add(Remark::CoversAnotherHost);
            parent = above;
        }
    }
    if asks(&format!("{OTHER}.example{rest}")) {
        remarks.add(Remark::CoversAnotherHost);
    }
    key.remarks = remarks;
    Ok(())
}

fn add(remarks: &mut Remarks, one: Option<Remark>) {
    one.into_iter().for_each(|remark| remarks.add(remark));
}

/// What stands in front of the query.
fn path(page: &str) -> &str {
    &page[..page.find(['?', '#']).unwrap_or(page.len())]
}
