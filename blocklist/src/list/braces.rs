//! Configuration in braces: statements of BIND and sections of pdnsd.

use super::{EmitFrom, LineKind, Outcome};
use crate::key::Refusal;

/// The words of a statement that are kept. Those of a zone are about ten.
const MAX_WORDS: usize = 64;

/// The words of a clause that are kept. A zone has three before its brace.
const MAX_CLAUSE: usize = 4;

/// A language with braces.
pub(super) trait Statements {
    /// The words that begin a statement which may hold an entry.
    const KEYWORDS: &'static [&'static str];
    /// The words of statements that only hold others.
    const CONTAINERS: &'static [&'static str];

    /// What a statement says, by its words and braces, of which there is one at least.
    fn statement<'w>(&mut self, words: &[&'w str]) -> Outcome<'w>;

    /// Takes note that a container begins or ends. What it says of its statements says nothing of others.
    fn container(&mut self) {}
}

/// Collects statements from lines.
#[derive(Debug, Default)]
pub(super) struct Braces {
    words: Vec<String>,
    /// Its words behind the last brace or semicolon.
    clause: Vec<String>,
    /// The lines before the current one on which the statement began.
    lines_before: u64,
    /// Open braces of the statement.
    depth: u32,
    is_in_comment: bool,
}

/// A piece of a line.
enum Token<'t> {
    Word(&'t str),
    Open,
    Close,
    End,
}

impl Braces {
    pub(super) fn line<S: Statements>(
        &mut self,
        line: &str,
        statements: &mut S,
        emit: &mut EmitFrom<'_>,
    ) -> LineKind {
        if self.words.is_empty() {
            self.lines_before = 0;
        } else {
            self.lines_before += 1;
        }
        if line.trim().is_empty() {
            return LineKind::Blank;
        }
        let mut has_token = false;
        let mut has_entry = false;
        let mut rest = line;
        while let Some(token) = self.token(&mut rest) {
            has_token = true;
            let ended = match token {
                Token::Word(word) => {
                    self.push(word);
                    if self.clause.len() < MAX_CLAUSE {
                        self.clause.push(word.to_owned());
                    }
                    continue;
                }
                Token::Open
                    if self.words.first().is_some_and(|word| is_one_of(word, S::CONTAINERS)) =>
                {
                    self.words.clear();
                    statements.container();
                    false
                }
                Token::Open => {
                    // A statement cannot begin in another one, whose brace is missing then.
                    let begins =
                        self.clause.first().is_some_and(|word| is_one_of(word, S::KEYWORDS));
                    if self.depth > 0 && begins {
                        has_entry = true;
                        self.leave_open(emit);
                        self.words.append(&mut self.clause);
                    }
                    self.push("{");
                    self.depth = self.depth.saturating_add(1);
                    false
                }
                // Of a container.
                Token::Close if self.depth == 0 => {
                    statements.container();
                    false
                }
                Token::Close => {
                    self.push("}");
                    self.depth -= 1;
                    self.depth == 0
                }
                Token::End if self.depth > 0 => {
                    self.push(";");
                    false
                }
                Token::End => true,
            };
            self.clause.clear();
            if ended && !self.words.is_empty() {
                has_entry = true;
                let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
                emit(self.lines_before, statements.statement(&words));
                self.words.clear();
                self.lines_before = 0;
            }
        }
        match (has_entry, has_token) {
            (true, _) => LineKind::Entry,
            (false, true) => LineKind::Structure,
            (false, false) => LineKind::Comment,
        }
    }

    pub(super) fn end(&mut self, emit: &mut EmitFrom<'_>) {
        if !self.words.is_empty() {
            self.leave_open(emit);
        }
    }

    /// Gives up a statement whose end is missing.
    fn leave_open(&mut self, emit: &mut EmitFrom<'_>) {
        let name = self.words.get(1).map_or("", String::as_str);
        emit(self.lines_before, Err((Refusal::OpenParenthesis, name)));
        self.words.clear();
        self.lines_before = 0;
        self.depth = 0;
    }

    fn push(&mut self, word: &str) {
        // A statement that is longer is none that holds an entry; its last brace shows where it ends.
        if self.words.len() < MAX_WORDS {
            self.words.push(word.to_owned());
        }
    }

    /// The next token of a line, without comments.
    fn token<'t>(&mut self, rest: &mut &'t str) -> Option<Token<'t>> {
        loop {
            if self.is_in_comment {
                let Some((_, after)) = rest.split_once("*/") else {
                    *rest = "";
                    return None;
                };
                *rest = after;
                self.is_in_comment = false;
            }
            *rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/*") {
                *rest = after;
                self.is_in_comment = true;
                continue;
            }
            if rest.starts_with('#') || rest.starts_with("//") {
                *rest = "";
            }
            let first = rest.chars().next()?;
            let (token, length) = match first {
                '{' => (Token::Open, 1),
                '}' => (Token::Close, 1),
                ';' => (Token::End, 1),
                '"' => {
                    let inside = &rest[1..];
                    let end = inside.find('"');
                    let text = &inside[..end.unwrap_or(inside.len())];
                    (Token::Word(text), (text.len() + 2).min(rest.len()))
                }
                _ => {
                    let end = rest
                        .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"'));
                    let end = end.unwrap_or(rest.len());
                    (Token::Word(&rest[..end]), end)
                }
            };
            *rest = &rest[length..];
            return Some(token);
        }
    }
}

/// The clauses inside of the outermost braces of a statement: the words before each semicolon, without those in braces
/// inside.
pub(super) fn clauses<'s, 'w>(words: &'s [&'w str]) -> impl Iterator<Item = Vec<&'w str>> + 's {
    let mut depth = 0;
    let inside = words.iter().filter(move |word| {
        match **word {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => return depth == 1,
        }
        false
    });
    let inside: Vec<&str> = inside.copied().collect();
    let clauses: Vec<Vec<&str>> = inside.split(|word| *word == ";").map(<[&str]>::to_vec).collect();
    clauses.into_iter().filter(|clause| !clause.is_empty())
}

fn is_one_of(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}
