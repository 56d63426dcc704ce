//! Keys that are served as they are: rows of a data set.

use super::plain::plain_entry;
use super::{CanonicalKey, KeyRules, ONBOARDING_ENTRY, Refusal, Remark, Remarks};
use filter_core::sub_url::{Profile, SubUrlRule, System};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// The rules under which 27 may ask for a key: where slashes inside a path stand, they differ.
static RULES_27: [SubUrlRule; 2] =
    [SubUrlRule::Profile(Profile::Current), SubUrlRule::System(System::V27)];
static RULES_26: [SubUrlRule; 1] = [SubUrlRule::System(System::V26)];
static RULES_UNCONFIGURED: [SubUrlRule; 1] = [SubUrlRule::System(System::V27Unconfigured)];

/// Takes a row's key as it stands, if a device could ask for it.
pub(super) fn verbatim<'e>(entry: &'e str, rules: &KeyRules) -> Result<CanonicalKey<'e>, Refusal> {
    let mut remarks = Remarks::default();
    let keep =
        |remarks| Ok(CanonicalKey { text: Cow::Borrowed(entry), others: Vec::new(), remarks });
    if entry == ONBOARDING_ENTRY || plain_entry(entry).is_some() {
        return keep(remarks);
    }
    if rules.systems().is_empty() {
        return match rules.rule() {
            SubUrlRule::Profile(_) if !is_asked(entry, rules.rule()) => Err(Refusal::NeverAsked),
            // What a configuration or an expression makes of all URLs cannot be told from a key.
            _ => keep(remarks),
        };
    }
    let mut is_useful = false;
    for system in rules.systems().iter() {
        let (rules, missing): (&'static [SubUrlRule], _) = match system {
            System::V26 => (&RULES_26, Some(Remark::NotOn26)),
            System::V27 => (&RULES_27, Some(Remark::NotOn27)),
            _ => (&RULES_UNCONFIGURED, None),
        };
        if rules.iter().any(|rule| is_asked(entry, rule)) {
            is_useful = true;
        } else if let Some(remark) = missing {
            remarks.add(remark);
        }
    }
    if is_useful { keep(remarks) } else { Err(Refusal::NeverAsked) }
}

/// Whether a device asks for the key when it requests the URL of the same text.
pub(crate) fn is_asked(key: &str, rule: &SubUrlRule) -> bool {
    ["http", "https"].into_iter().any(|scheme| {
        rule.parse(&format!("{scheme}://{key}")).is_ok_and(|url| {
            let visit = |sub_url: &str| match sub_url == key {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            url.sub_urls().for_each(visit).is_break()
        })
    })
}
