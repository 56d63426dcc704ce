//! Tables that no known header shows: lines of the same number of fields, some of which are URLs or hosts.

use super::defang::refang;
use super::detect::{MAX_LINES, is_plain};
use super::urls::without_comment;
use filter_core::sub_url::parts::{authority, split_special_scheme};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What may separate fields, and what it is called. Of equally good ones the earlier is taken.
const SEPARATORS: [(char, &str); 4] =
    [(',', "commas"), (';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];

/// What shows that a list is a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) separator: char,
    /// The number of fields of most rows.
    pub(super) width: usize,
    /// The names of the columns, if the first row has them.
    pub(super) header: Option<Vec<String>>,
    /// The columns that hold URLs or hosts, counted from 0; one at least.
    pub(super) columns: Vec<usize>,
    /// Whether they are written so that they are no links.
    pub(super) is_defanged: bool,
}

impl Table {
    /// The options that read the table, for each of its columns.
    pub(super) fn options(&self) -> String {
        let kind = if self.separator == '\t' { "tsv" } else { "csv" };
        let is_word = |name: &&String| {
            name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
                && name.chars().any(|c| !c.is_ascii_digit())
        };
        let name = |&column: &usize| {
            let name = self.header.as_ref().and_then(|names| names.get(column)).filter(is_word);
            let column = name.map_or_else(|| (column + 1).to_string(), String::clone);
            format!("--format {kind}={column}")
        };
        let formats: Vec<String> = self.columns.iter().map(name).collect();
        let defanged = if self.is_defanged { " with --defanged" } else { "" };
        format!("{}{defanged}", formats.join(" or "))
    }

    /// What the lines have in common.
    pub(super) fn describe(&self) -> String {
        let name = SEPARATORS.iter().find(|(separator, _)| *separator == self.separator);
        let name = name.map_or("separators", |(_, name)| name);
        format!("lines have {} fields between {name}", self.width)
    }
}

/// Finds a table at the beginning of a list. A list of URLs has separators in the paths of some lines, a table has the same
/// number in nearly all, or in most and a date, an address or the like behind them.
pub(super) fn find(text: &str) -> Option<Table> {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_matches([' ', '\r']))
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '!', ';']))
        .filter(|line| !line.to_ascii_lowercase().starts_with("sep="))
        .map(without_comment)
        .take(MAX_LINES)
        .collect();
    let found = SEPARATORS.iter().filter_map(|&(separator, _)| of_separator(&lines, separator));
    // Stable: of equal ones the last, so that the order is turned around.
    let found: Vec<(usize, Table)> = found.collect();
    found.into_iter().rev().max_by_key(|(regular, _)| *regular).map(|(_, table)| table)
}

/// The table that a separator gives, and the number of its regular rows.
fn of_separator(lines: &[&str], separator: char) -> Option<(usize, Table)> {
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| fields(line, separator)).collect();
    let mut widths = BTreeMap::new();
    for row in rows.iter().filter(|row| row.len() > 1) {
        *widths.entry(row.len()).or_insert(0_usize) += 1;
    }
    let (&width, &regular) = widths.iter().max_by_key(|(_, count)| **count)?;
    let mut values: Vec<&Vec<&str>> = rows.iter().filter(|row| row.len() == width).collect();
    let first = rows.first().filter(|row| row.len() == width);
    let is_header = |row: &&Vec<&str>| {
        !row.iter().any(|field| entry(field).is_some() || is_telling(field))
            && row.iter().any(|field| !field.is_empty())
    };
    let header = first.filter(|row| values.len() > 1 && is_header(row));
    if header.is_some() {
        values.remove(0);
    }
    // At least half of the fields, and how many of them are defanged.
    let column = |column: usize| {
        let entries: Vec<Entry> = values.iter().filter_map(|row| entry(row[column])).collect();
        let defanged = entries.iter().filter(|entry| **entry == Entry::Defanged).count();
        (entries.len() * 2 >= values.len() && !entries.is_empty())
            .then_some((column, defanged * 2 >= entries.len()))
    };
    let columns: Vec<(usize, bool)> = (0..width).filter_map(column).collect();
    let (first_column, is_defanged) = *columns.first()?;
    let tells = (0..width).filter(|column| *column != first_column).any(|column| {
        let telling = values.iter().filter(|row| is_telling(row[column])).count();
        telling * 5 >= values.len() * 4
    });
    let is_no_entry = |line: &&str| entry(line).is_none();
    let is_table = match rows.len() {
        1 => tells || lines.first().is_some_and(is_no_entry),
        rows => (rows - regular) * 10 <= rows || (tells && regular >= 3 && regular * 2 >= rows),
    };
    let header = header.map(|row| row.iter().map(|&name| name.to_owned()).collect());
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    is_table.then_some((regular, Table { separator, width, header, columns, is_defanged }))
}

/// The fields of a line, without the quotation marks around them.
fn fields(line: &str, separator: char) -> Vec<&str> {
    if !line.contains('"') {
        return line.split(separator).map(str::trim).collect();
    }
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let quoted = rest.trim_start_matches(' ').strip_prefix('"');
        let from = quoted.and_then(|inside| Some(rest.len() - inside.len() + inside.find('"')?));
        let from = from.unwrap_or(0);
        let end = rest[from..].find(separator).map(|at| at + from);
        fields.push(rest[..end.unwrap_or(rest.len())].trim().trim_matches('"').trim());
        match end {
            Some(end) => rest = &rest[end + separator.len_utf8()..],
            None => return fields,
        }
    }
}

/// How a URL or host is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Plain,
    Defanged,
}

/// Whether a field can be an entry. Numbers, dates and versions are none.
fn entry(field: &str) -> Option<Entry> {
    if is_entry(field) {
        let is_defanged = refang(field) != field;
        return Some(if is_defanged { Entry::Defanged } else { Entry::Plain });
    }
    is_entry(&refang(field)).then_some(Entry::Defanged)
}

fn is_entry(field: &str) -> bool {
    if field.contains(char::is_whitespace) || !is_plain(field) {
        return false;
    }
    if field.contains("://") || split_special_scheme(field).is_some() {
        return true;
    }
    let host = authority(field);
    if host.parse::<IpAddr>().is_ok() || host.starts_with('[') {
        return true;
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    last.chars().count() > 1 && last.chars().any(char::is_alphabetic)
}

/// Whether a field is what stands beside entries in tables, and hardly in their paths: a date, a time in seconds, an address
/// of a machine, a URL or a hash.
fn is_telling(field: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let date = field.split(['T', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split(['-', '/', '.']).collect();
    let is_date = match parts.as_slice() {
        [first, second, third] => {
            parts.iter().all(|part| is_number(part))
                && matches!(
                    (first.len(), second.len(), third.len()),
                    (4, 1..=2, 1..=2) | (1..=2, 1..=2, 4)
                )
        }
        _ => false,
    };
    let is_time = is_number(field) && matches!(field.len(), 10 | 13) && field.starts_with('1');
    let is_hash =
        matches!(field.len(), 32 | 40 | 64) && field.bytes().all(|b| b.is_ascii_hexdigit());
    let is_url = field.contains("://") && entry(field).is_some();
    is_date || is_time || is_hash || is_url || field.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(text: &str) -> Option<String> {
        find(text).map(|table| table.options())
    }

    #[test]
    fn tables_without_a_known_header_are_found() {
        let rows = [
            "https://a.example/x,2026-01-01,online",
            "https://b.example/y,2026-01-02,online",
            "https://c.example/z,2026-01-02,offline",
        ];
        for (separator, expected) in
            [(",", "csv=1"), (";", "csv=1"), ("|", "csv=1"), ("\t", "tsv=1"), (", ", "csv=1")]
        {
            let text = rows.join("\n").replace(',', separator);
            assert_eq!(options(&text), Some(format!("--format {expected}")), "{separator:?}");
        }
        for (text, expected) in [
            ("a.example/x,x\nb.example/y,y\nc.example,z\n", "csv=1"),
            ("a.example;malware\nb.example;phishing\n", "csv=1"),
            ("1\ta.example\t2026-01-01\n2\tb.example\t2026-01-02\n", "tsv=2"),
            ("\"https://a.example/x,y\",\"1\"\r\n\"https://b.example\",\"2\"\r\n", "csv=1"),
            ("# list\nsep=;\nx;https://a.example/x\ny;https://b.example/x\n", "csv=2"),
            ("https://a.example/x,2026-01-01\n", "csv=1"),
            ("a.example,x\n", "csv=1"),
            ("phish_url,Seen\nhttps://a.example/x,1\nhttps://b.example/y,2\n", "csv=phish_url"),
            ("Address,Seen\na.example,2026\nb.example,2026\n", "csv=Address"),
            ("My address|Seen\na.example|2026\nb.example|2026\n", "csv=1"),
            ("7;8\na.example;x\nb.example;y\n", "csv=1"),
        ] {
            assert_eq!(options(text), Some(format!("--format {expected}")), "{text}");
        }
        assert_eq!(
            options("a.example,b.example\nc.example,d.example\n").as_deref(),
            Some("--format csv=1 or --format csv=2")
        );
        assert_eq!(
            options("hxxp://a[.]example/x,1\nhxxp://b[.]example/x,2\n").as_deref(),
            Some("--format csv=1 with --defanged")
        );
        // One row in ten may be otherwise, or half of them if dates or the like show what it is.
        for (others, is_found) in [(1, true), (2, false)] {
            let text = format!(
                "{}{}",
                "https://a.example/x,y\n".repeat(11 - others),
                "https://a.example/\n".repeat(others)
            );
            assert_eq!(options(&text).is_some(), is_found, "{others}");
        }
        for (others, is_found) in [(2, true), (3, true), (4, false)] {
            let text = format!(
                "{}{}",
                "https://a.example/x,2026-01-01T00:00:00Z\n".repeat(3),
                "https://a.example/\n".repeat(others)
            );
            assert_eq!(options(&text).is_some(), is_found, "{others}");
        }
    }

    #[test]
    fn lists_of_urls_are_no_tables() {
        for text in [
            "https://a.example/x,y\nhttps://b.example/\nhttps://c.example/x;z\n",
            "https://a.example/@48.1,11.5,17z\n",
            "https://a.example/x;jsessionid=1\n",
            "https://a.example/x,y,z\nhttps://b.example/x,y\n",
            "a.example # why, since 2020\nb.example # why, since 2021\n",
            "a.example ; x\nb.example ; y\n",
            "https://a.example/x|y\nb.example\nc.example\n",
            "",
            "# a,b\n",
        ] {
            assert_eq!(options(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn separators_in_some_paths_make_no_table(
            paths in prop::collection::vec("[a-z0-9./=-]{0,12}[,;|][a-z0-9,;|./=-]{0,12}", 0..20),
            others in prop::collection::vec("[a-z0-9./=-]{0,12}", 0..20),
        ) {
            prop_assume!(others.len() > paths.len());
            let urls = paths.iter().chain(&others).map(|path| format!("https://a.example/{path}\n"));
            let text: String = urls.collect();
            prop_assert_eq!(find(&text), None);
        }

        #[test]
        fn rows_of_the_same_width_make_a_table(
            rows in prop::collection::vec(("[a-z]{1,8}", "[a-z0-9 -]{0,8}", "[a-z0-9]{0,8}"), 2..20),
            separator in prop::sample::select(vec![',', ';', '\t', '|']),
        ) {
            let row = |(name, a, b): &(String, String, String)| {
                format!("https://{name}.example/x{separator}{a}x{separator}{b}\n")
            };
            let text: String = rows.iter().map(row).collect();
            let table = find(&text).unwrap();
            prop_assert_eq!((table.separator, table.width, table.columns[0]), (separator, 3, 0));
        }
    }
}
