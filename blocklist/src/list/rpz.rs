//! Response policy zones (draft-vixie-dnsop-dns-rpz), in zone-file syntax (RFC 1035 section 5).

pub(super) mod generate;
mod names;

use super::sinks::Sinks;
use super::{Action, Emit, EmitFrom, Entry, LineFormat, LineKind, ListError, ReadOptions, Scope};
use crate::key::{EntryKind, Refusal};
use generate::{MAX_RECORDS, Range};
use names::{Names, unescape};

/// What the lines of a zone file pass on to the next.
pub(super) struct Rpz {
    names: Names,
    sinks: Sinks,
    /// The owner of the last record, which lines that start with white space share.
    owner: String,
    /// A record with an open parenthesis.
    open: Option<OpenRecord>,
    /// The number of the line that is read.
    line: u64,
    /// The number of the line on which its record begins.
    first_line: u64,
    /// The most records that directives may generate.
    max_generated: u64,
    /// The records that directives have generated.
    generated: u64,
    /// The first directive that stands for more than it may.
    beyond: Option<Beyond>,
}

/// A directive that stands for more records than it may.
struct Beyond {
    line: u64,
    names: u64,
    max: u64,
}

/// A record of several lines.
#[derive(Default)]
struct OpenRecord {
    has_owner: bool,
    words: Vec<String>,
    lines: u32,
}

/// The words of a record that matter: owner, TTL, class, type, data; a directive has seven.
const MAX_WORDS: usize = 8;

/// The most lines of one record. Start-of-authority records, the only ones that need several, have about ten.
const MAX_RECORD_LINES: u32 = 100;

/// The most records that all `$GENERATE` of a file stand for, unless an option says less.
pub(super) const MAX_GENERATED: u64 = 262_144;

/// The most records that all `$GENERATE` of the lists of a build stand for.
pub(crate) const MAX_GENERATED_IN_BUILD: u64 = 1_048_576;

impl Rpz {
    pub(super) fn new(options: &ReadOptions) -> Self {
        Self {
            names: Names::new(options.origin.as_deref()),
            sinks: Sinks::new(&options.sinks),
            owner: String::new(),
            open: None,
            line: 0,
            first_line: 0,
            max_generated: options.max_generated.min(MAX_GENERATED),
            generated: 0,
            beyond: None,
        }
    }

    /// The number of records that directives stood for, once the list was read.
    ///
    /// # Errors
    /// [`ListError::TooManyGenerated`] if one of them stands for more than it may.
    pub(super) fn generated(&self) -> Result<u64, ListError> {
        match self.beyond {
            Some(Beyond { line, names, max }) => {
                Err(ListError::TooManyGenerated { line, names, max })
            }
            None => Ok(self.generated),
        }
    }
}

impl LineFormat for Rpz {
    fn line(&mut self, line: &str, emit: &mut Emit<'_>) -> LineKind {
        let has_owner = !line.starts_with([' ', '\t']);
        let is_simple = !line.bytes().any(|b| matches!(b, b'"' | b'\\' | b'(' | b')'));
        if self.open.is_none() && is_simple {
            let content = line.split_once(';').map_or(line, |(content, _)| content);
            let mut words = [""; MAX_WORDS];
            let found = words.iter_mut().zip(content.split_whitespace());
            let count = found.map(|(slot, word)| *slot = word).count();
            if count == 0 {
                return blank_or_comment(line);
            }
            return self.record(has_owner, &words[..count], line, emit);
        }
        let is_first = self.open.is_none();
        let mut record = self.open.take().unwrap_or(OpenRecord { has_owner, ..Default::default() });
        let is_open = read_words(line, !is_first, &mut record.words);
        if is_first && !is_open && record.words.is_empty() {
            return blank_or_comment(line);
        }
        if is_open {
            record.lines += 1;
            let is_too_long = record.lines > MAX_RECORD_LINES;
            self.open = Some(record);
            if is_too_long {
                emit(Err((Refusal::OpenParenthesis, line)));
                return LineKind::Entry;
            }
            return LineKind::Structure;
        }
        let words: Vec<&str> = record.words.iter().map(String::as_str).collect();
        if words.is_empty() {
            return LineKind::Structure;
        }
        self.record(record.has_owner, &words, line, emit)
    }

    fn line_from(&mut self, line: &str, emit: &mut EmitFrom<'_>) -> LineKind {
        self.line += 1;
        let before = self.open.as_ref().map_or(0, |record| u64::from(record.lines));
        self.first_line = self.line - before;
        self.line(line, &mut |outcome| match outcome {
            // Each line behind a record that is too long is refused by itself.
            Err((Refusal::OpenParenthesis, _)) => emit(0, outcome),
            _ => emit(before, outcome),
        })
    }

    fn skipped(&mut self) {
        self.line += 1;
    }

    fn end(&mut self, emit: &mut Emit<'_>) {
        if self.open.is_some() {
            emit(Err((Refusal::OpenParenthesis, "")));
        }
    }
}

fn blank_or_comment(line: &str) -> LineKind {
    if line.trim().is_empty() { LineKind::Blank } else { LineKind::Comment }
}

/// Adds the words of a line up to [`MAX_WORDS`], with their escapes and without quotation marks, and returns whether a
/// parenthesis is open at its end.
fn read_words(line: &str, was_open: bool, words: &mut Vec<String>) -> bool {
    let mut is_open = was_open;
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    let mut characters = line.chars();
    let mut finish = |word: &mut Option<String>| {
        if let Some(word) = word.take()
            && words.len() < MAX_WORDS
        {
            words.push(word);
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let word = word.get_or_insert_default();
                word.push('\\');
                word.extend(characters.next());
            }
            '"' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            _ if is_quoted => word.get_or_insert_default().push(character),
            ';' => break,
            '(' | ')' => {
                finish(&mut word);
                is_open = character == '(';
            }
            _ if character.is_whitespace() => finish(&mut word),
            _ => word.get_or_insert_default().push(character),
        }
    }
    finish(&mut word);
    is_open
}

impl Rpz {
    /// Takes a record or a directive by its words, of which there is one at least. `line` is what a refused directive shows.
    fn record(
        &mut self,
        has_owner: bool,
        words: &[&str],
        line: &str,
        emit: &mut Emit<'_>,
    ) -> LineKind {
        if words[0].starts_with('$') {
            return self.directive(words, line, emit);
        }
        let mut words = words.iter().copied();
        if has_owner {
            self.owner.clear();
            self.owner.push_str(words.next().expect("a record has one word at least"));
        }
        let mut words = words.skip_while(|word| is_class_or_ttl(word));
        let (kind, data) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if ["SOA", "NS"].iter().any(|name| kind.eq_ignore_ascii_case(name)) {
            self.names.set_zone(&self.owner);
            return LineKind::Structure;
        }
        let owner = std::mem::take(&mut self.owner);
        self.emit_record(&owner, kind, data, emit);
        self.owner = owner;
        LineKind::Entry
    }

    fn directive(&mut self, words: &[&str], line: &str, emit: &mut Emit<'_>) -> LineKind {
        match (words[0].to_ascii_uppercase().as_str(), words) {
            ("$TTL", _) => return LineKind::Structure,
            ("$ORIGIN", [_, name, ..]) => {
                self.names.set_origin(name);
                return LineKind::Structure;
            }
            ("$GENERATE", [_, range, owner, rest @ ..]) => {
                if self.generate(range, owner, rest, emit).is_none() {
                    emit(Err((Refusal::Directive, line)));
                }
            }
            _ => emit(Err((Refusal::Directive, line))),
        }
        LineKind::Entry
    }

    /// Emits the records of a `$GENERATE`; none, if it stands for too many. `None` if it is malformed.
    fn generate(
        &mut self,
        range: &str,
        owner: &str,
        rest: &[&str],
        emit: &mut Emit<'_>,
    ) -> Option<()> {
        let mut words = rest.iter().copied().skip_while(|word| is_class_or_ttl(word));
        let (kind, data) = (words.next()?, words.next()?);
        let range = Range::parse(range)?;
        // A template that is right for the first and the last number is right for all.
        for number in [range.first(), range.last()] {
            generate::expand(owner, number)?;
            generate::expand(data, number)?;
        }
        let (names, max) = (range.count(), MAX_RECORDS.min(self.max_generated - self.generated));
        if names > max {
            let line = self.first_line;
            self.beyond.get_or_insert(Beyond { line, names, max });
            return Some(());
        }
        self.generated += names;
        for number in range.numbers() {
            let owner = generate::expand(owner, number)?;
            let data = generate::expand(data, number)?;
            self.emit_record(&owner, kind, &data, emit);
        }
        Some(())
    }

    fn emit_record(&mut self, owner: &str, kind: &str, data: &str, emit: &mut Emit<'_>) {
        let Some(plain) = unescape(owner) else {
            return emit(Err((Refusal::NotAHost, owner)));
        };
        let name = match self.names.relative(&plain) {
            Ok(name) => name,
            Err(refusal) => return emit(Err((refusal, owner))),
        };
        let is_wildcard = name.starts_with("*.");
        let scope = if is_wildcard { Scope::Subdomains } else { Scope::Host };
        emit(match self.action(&name, kind, data) {
            Ok(action) => {
                Ok(Entry::new(&name, EntryKind::Host).with_scope(scope).with_action(action))
            }
            Err(refusal) => Err((refusal, owner)),
        });
    }

    /// What a record asks for. `name` is its owner relative to the zone.
    fn action(&self, name: &str, kind: &str, data: &str) -> Result<Action, Refusal> {
        let trigger = name.rsplit_once('.').map_or(name, |(_, last)| last);
        let is_trigger = trigger.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("rpz-"));
        if is_trigger || name.is_empty() {
            return Err(Refusal::Directive);
        }
        let is_kind = |known: &str| kind.eq_ignore_ascii_case(known);
        if is_kind("A") || is_kind("AAAA") {
            let is_sink = self.sinks.has_address(data);
            return if is_sink { Ok(Action::Block) } else { Err(Refusal::NotABlock) };
        }
        if !is_kind("CNAME") {
            return Err(Refusal::Directive);
        }
        let is_target = |known: &str| data.eq_ignore_ascii_case(known);
        let absolute = data.strip_suffix('.');
        let is_own_name = absolute.is_some_and(|target| target.eq_ignore_ascii_case(name));
        if is_target("rpz-passthru.") || is_own_name {
            Ok(Action::Allow)
        } else if is_target(".")
            || is_target("*.")
            || is_target("rpz-drop.")
            || self.sinks.has_name(&self.names.full(data).0)
        {
            Ok(Action::Block)
        } else {
            Err(Refusal::NotABlock)
        }
    }
}

fn is_class_or_ttl(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || ["IN", "CH", "HS"].iter().any(|class| word.eq_ignore_ascii_case(class))
}

#[cfg(test)]
mod tests;
