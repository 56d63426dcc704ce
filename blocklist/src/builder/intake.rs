//! From an entry to its keys, which needs the entry alone, and into the build, which goes in the order of the lists.

use super::exceptions::{Exception, Exceptions, Speaker};
use super::manner::Manner;
use super::{KeySet, Options, Origin, Report, plausible, reach};
use crate::key::names::{has_known_suffix, split_host};
use crate::key::{
    CanonicalKey, EntryKind, KeyRules, ONBOARDING_ENTRY, Refusal, Remark, Remarks, canonicalise,
    is_key,
};
use crate::list::adblock::{excepted, is_retraction};
use crate::list::{Action, Entry, Event, RuleOptions, Scope};
use filter_core::sub_url::SubUrlRule;
use std::borrow::Cow;

/// What becomes of an entry.
pub(super) enum Outcome<'e> {
    /// The entry of Apple's onboarding, whose key the options have added.
    Onboarding,
    /// Its keys. The remarks are those of the key, of its entry and of its name.
    Key(CanonicalKey<'e>),
    /// It cannot become a key.
    Refused(Refusal),
}

/// The same, apart from the text of the entry. It is small for most entries, of which millions wait for each other.
pub(super) enum OwnedOutcome {
    Onboarding,
    /// The text of the entry is its one key.
    Unchanged(Remarks),
    Key(Box<CanonicalKey<'static>>),
    Refused(Refusal),
}

impl Outcome<'_> {
    /// Takes the outcome out of the life of `entry`, whose outcome it is.
    pub(super) fn into_owned(self, entry: &str) -> OwnedOutcome {
        match self {
            Self::Onboarding => OwnedOutcome::Onboarding,
            Self::Refused(refusal) => OwnedOutcome::Refused(refusal),
            Self::Key(key) if key.others.is_empty() && is_same(&key.text, entry) => {
                OwnedOutcome::Unchanged(key.remarks)
            }
            Self::Key(CanonicalKey { text, others, remarks }) => {
                let text = Cow::Owned(text.into_owned());
                OwnedOutcome::Key(Box::new(CanonicalKey { text, others, remarks }))
            }
        }
    }
}

/// Whether a key is the text of its entry, which it usually borrows.
fn is_same(key: &str, entry: &str) -> bool {
    std::ptr::eq(key, entry) || key == entry
}

impl OwnedOutcome {
    /// The outcome of `entry` again.
    pub(super) fn of(self, entry: &str) -> Outcome<'_> {
        match self {
            Self::Onboarding => Outcome::Onboarding,
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Unchanged(remarks) => {
                let text = Cow::Borrowed(entry);
                Outcome::Key(CanonicalKey { text, others: Vec::new(), remarks })
            }
            Self::Key(key) => Outcome::Key(*key),
        }
    }
}

/// Makes the keys of entries as the options of a build say.
#[derive(Clone, Copy)]
pub(super) struct KeyMaker<'b> {
    pub(super) options: &'b Options,
    pub(super) rules: &'b KeyRules,
}

impl KeyMaker<'_> {
    /// What becomes of an entry.
    pub(super) fn outcome<'e>(&self, entry: &Entry<'e>) -> Outcome<'e> {
        // The onboarding entry is the one entry that becomes a key as it stands.
        if self.options.onboarding_entry
            && entry.text == ONBOARDING_ENTRY
            && entry.kind == EntryKind::Url
            && entry.action == Action::Block
        {
            return Outcome::Onboarding;
        }
        match self.key_of(entry) {
            Ok(key) => Outcome::Key(key),
            Err(refusal) => Outcome::Refused(refusal),
        }
    }

    fn key_of<'e>(&self, entry: &Entry<'e>) -> Result<CanonicalKey<'e>, Refusal> {
        // What a data set serves already is taken as it is.
        let is_row = entry.kind == EntryKind::Key;
        let mut key = if is_key(entry.text, entry.kind, self.rules) {
            plausible::check_key(entry.text)?;
            CanonicalKey::unchanged(entry.text)
        } else {
            if !is_row {
                plausible::check_text(entry.text.trim(), entry.kind)?;
            }
            match canonicalise(entry.text, entry.kind, self.rules) {
                Err(Refusal::SingleLabel) => top_level(entry).ok_or(Refusal::SingleLabel)?,
                key => key?,
            }
        };
        // What devices ask for names the host without the dot as well, and no exception may allow that.
        if entry.action != Action::Block && key.remarks.contains(Remark::CoversAnotherHost) {
            return Err(Refusal::AbsoluteHost);
        }
        key.remarks.extend(entry.remarks);
        if !is_row && entry.action == Action::Block {
            self.check_names(&mut key, entry)?;
        }
        Ok(key)
    }

    /// Refuses keys of names that no list means, and says what keys block beyond their entry: all spellings of a key, since one
    /// without the star at the end may be a whole host.
    fn check_names(&self, key: &mut CanonicalKey<'_>, entry: &Entry<'_>) -> Result<(), Refusal> {
        let (names, rule) = (&self.options.names, self.rules.rule());
        let mut remarks = key.remarks;
        for text in texts(key).filter_map(|text| plausible::without_scheme(text, rule)) {
            let (host, rest) = split_host(text);
            if let Some(remark) = names.check_parts(host, rest)? {
                remarks.add(remark);
            }
            plausible::coverage(entry.scope, host, rest, &mut remarks);
        }
        if let Some(text) = plausible::without_scheme(&key.text, rule) {
            plausible::hosts_below(entry.scope, text, self.rules.systems(), &mut remarks);
        }
        key.remarks = remarks;
        match rule {
            SubUrlRule::Profile(_) | SubUrlRule::System(_) => Ok(()),
            rule => reach::check(key, entry, rule, names),
        }
    }
}

/// The top-level domain of an exception that names all hosts below it, such as `@@||gov^` or `*.gov` in an allow list. No key can
/// block one, but it takes back keys below. A word alone is no such exception: it may be prose.
fn top_level<'e>(entry: &Entry<'e>) -> Option<CanonicalKey<'e>> {
    let is_exception = matches!(entry.action, Action::Allow | Action::RetractException);
    let text = entry.text.trim();
    let label = text.strip_prefix("*.").unwrap_or(text);
    let names_all = label.len() < text.len() || entry.rule.is_some() && entry.scope == Scope::Site;
    let is_label = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let label = label.to_ascii_lowercase();
    (is_exception && names_all && is_label && has_known_suffix(&label)).then(|| CanonicalKey {
        text: Cow::Owned(label),
        others: Vec::new(),
        remarks: Remarks::default(),
    })
}

/// An event of a list as its speaker means it: entries of an allow list take others back, whether they ask to block or to
/// allow. What takes back a rule (`$badfilter`) has none there.
pub(super) fn spoken(event: Event<'_>, speaker: Speaker) -> Event<'_> {
    match event {
        Event::Entry { line, entry } if speaker == Speaker::AllowList => match entry.action {
            Action::Block | Action::Allow => {
                let options = RuleOptions::IMPORTANT;
                Event::Entry { line, entry: Entry { action: Action::Allow, options, ..entry } }
            }
            Action::Retract | Action::RetractException => {
                Event::Refused { line, refusal: Refusal::Retraction, text: entry.text }
            }
        },
        Event::Refused { line, text, .. }
            if speaker == Speaker::AllowList && is_retraction(text) =>
        {
            Event::Refused { line, refusal: Refusal::Retraction, text }
        }
        event => event,
    }
}

/// Takes the entries of one list into the build.
pub(super) struct Intake<'b> {
    pub(super) keys: &'b mut KeySet,
    pub(super) exceptions: &'b mut Exceptions,
    pub(super) report: &'b mut Report,
    pub(super) source: usize,
    pub(super) speaker: Speaker,
}

impl Intake<'_> {
    /// Takes an entry that no key can be made of.
    fn refuse_entry(&mut self, line: u64, refusal: Refusal, entry: &Entry<'_>, rules: &KeyRules) {
        match entry.action {
            // It asked to block nothing.
            Action::Allow | Action::RetractException if self.speaker == Speaker::BlockList => {
                self.refuse_line(line, Refusal::Exception, entry.text, true, rules);
            }
            _ => self.refuse(line, refusal, entry.text, rules),
        }
    }

    /// Takes something that no key can be made of.
    pub(super) fn refuse(&mut self, line: u64, refusal: Refusal, text: &str, rules: &KeyRules) {
        self.refuse_line(line, refusal, text, false, rules);
    }

    /// Takes something that no key can be made of; `is_exception` says that it is an exception without its `@@`.
    fn refuse_line(
        &mut self,
        line: u64,
        refusal: Refusal,
        text: &str,
        is_exception: bool,
        rules: &KeyRules,
    ) {
        self.report.refuse(self.source, line, refusal, text);
        // In an allow list, rules for some requests are exceptions for some requests.
        let is_exception = match (refusal, self.speaker) {
            _ if is_exception => true,
            (Refusal::Exception, _) => false,
            (Refusal::RuleOption | Refusal::Wildcard | Refusal::Pattern, Speaker::AllowList) => {
                true
            }
            _ => return,
        };
        let Some(entry) = excepted(text, is_exception) else { return };
        let origin = Origin::new(self.source, line);
        if entry.action == Action::RetractException {
            self.exceptions.retract(&entry, origin, text);
            return;
        }
        let key = canonicalise(entry.text, entry.kind, rules).or_else(|refusal| match refusal {
            // The chosen systems ask for less than it names, such as for no port.
            Refusal::NeverAsked => canonicalise(entry.text, entry.kind, &KeyRules::default()),
            refusal => Err(refusal),
        });
        if let Ok(key) = key {
            let manner = Manner::of(&entry, &key.text, key.remarks);
            let exception = Exception::new(&entry, manner, origin, self.speaker, text).partial();
            self.exceptions.add(texts(&key), exception);
        }
    }

    /// Takes an entry and what becomes of it.
    pub(super) fn take(
        &mut self,
        line: u64,
        entry: Entry<'_>,
        outcome: &Outcome<'_>,
        rules: &KeyRules,
    ) {
        let source = self.source;
        let key = match outcome {
            Outcome::Key(key) => key,
            Outcome::Onboarding => {
                self.report.take(source, line, entry, ONBOARDING_ENTRY, entry.remarks);
                return;
            }
            Outcome::Refused(refusal) => {
                self.refuse_entry(line, *refusal, &entry, rules);
                return;
            }
        };
        let origin = Origin::new(source, line);
        let manner = Manner::of(&entry, &key.text, key.remarks);
        if entry.action == Action::Block {
            let manner = match entry.rule {
                Some(rule) => self.exceptions.note_rule(texts(key), rule, manner),
                None => manner,
            };
            match key.others.is_empty() {
                true => self.keys.add([key.text.as_bytes()], origin, manner),
                false => self.keys.add(texts(key).map(str::as_bytes), origin, manner),
            }
            self.report.take(source, line, entry, &key.text, key.remarks);
            return;
        }
        if matches!(entry.action, Action::Retract | Action::RetractException) {
            self.exceptions.retract(&entry, origin, entry.text);
        } else {
            let exception = Exception::new(&entry, manner, origin, self.speaker, entry.text);
            self.exceptions.add(texts(key), exception);
        }
        self.report.except(source);
    }
}

/// A key and its other spellings.
fn texts<'k>(key: &'k CanonicalKey<'_>) -> impl Iterator<Item = &'k str> {
    [&*key.text].into_iter().chain(key.others.iter().map(String::as_str))
}
