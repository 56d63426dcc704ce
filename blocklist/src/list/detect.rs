//! Detecting the format of a list from its beginning.

use super::{Format, ListError};
use std::net::IpAddr;

/// The number of lines that decide.
const MAX_LINES: usize = 1_000;

/// Whether bytes are not text: they have a zero byte, are UTF-16, or more than a tenth of them are control
/// characters.
pub(super) fn is_binary(start: &[u8]) -> bool {
    let control =
        start.iter().filter(|&&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c)).count();
    start.contains(&0)
        || start.starts_with(b"\xff\xfe")
        || start.starts_with(b"\xfe\xff")
        || control * 10 > start.len()
}

/// The format that most of the first lines have.
pub(super) fn format(start: &[u8]) -> Result<Format, ListError> {
    let text = String::from_utf8_lossy(start);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES).collect();
    if lines.iter().find(|line| !line.starts_with('#')).is_some_and(|line| is_txtpb(line)) {
        return Ok(Format::Txtpb);
    }
    if let Some(columns) =
        lines.iter().find(|line| !line.starts_with('#')).and_then(|line| csv_header(line))
    {
        return Err(ListError::CsvColumnNeeded { columns });
    }
    let mut votes = [
        (Format::Adblock, 0),
        (Format::Hosts, 0),
        (Format::Dnsmasq, 0),
        (Format::Rpz, 0),
        (Format::Urls, 0),
    ];
    for line in &lines {
        let vote = if is_adblock(line) {
            0
        } else if line.starts_with(['#', ';']) {
            continue;
        } else if is_hosts(line) {
            1
        } else if ["address=/", "server=/", "local=/"].iter().any(|start| line.starts_with(start)) {
            2
        } else if is_rpz(line) {
            3
        } else {
            4
        };
        votes[vote].1 += 1;
    }
    // Of equal counts the earlier, more specific format wins.
    let [first, rest @ ..] = votes;
    let winner =
        rest.into_iter().fold(first, |best, vote| if vote.1 > best.1 { vote } else { best });
    Ok(if winner.1 == 0 { Format::Urls } else { winner.0 })
}

fn is_txtpb(line: &str) -> bool {
    line.strip_prefix("rows")
        .is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with([':', '{', '<', '[']))
}

fn is_adblock(line: &str) -> bool {
    line.starts_with("||")
        || line.starts_with("@@")
        || line.starts_with('!')
        || line.starts_with("[Adblock")
        || line.starts_with("[uBlock")
        || ["##", "#@#", "#?#"].iter().any(|mark| !line.starts_with("###") && line.contains(mark))
}

fn is_hosts(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|word| word.parse::<IpAddr>().is_ok()) && words.next().is_some()
}

fn is_rpz(line: &str) -> bool {
    let mut words = line.split_whitespace();
    line.starts_with("$TTL")
        || line.starts_with("$ORIGIN")
        || (!line.contains("://")
            && words.any(|word| {
                ["CNAME", "SOA", "NS"].iter().any(|kind| word.eq_ignore_ascii_case(kind))
            })
            && words.next().is_some())
}

/// The columns, if a line is a CSV header with a column that is usually called so when it holds URLs.
fn csv_header(line: &str) -> Option<String> {
    const NAMES: [&str; 7] = ["url", "urls", "domain", "host", "hostname", "fqdn", "link"];
    let columns: Vec<&str> =
        line.split(',').map(|column| column.trim().trim_matches('"')).collect();
    let sounds =
        columns.iter().any(|column| NAMES.iter().any(|name| column.eq_ignore_ascii_case(name)));
    (columns.len() > 1 && sounds).then(|| columns.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (text, expected) in [
            ("", Format::Urls),
            ("# just a comment\n", Format::Urls),
            ("example.com\nhttps://example.com/a\n", Format::Urls),
            ("||example.com^\n||example.org^\n", Format::Adblock),
            ("! Title: x\nexample.com\n", Format::Adblock),
            ("[Adblock Plus 2.0]\n", Format::Adblock),
            ("# hosts\n127.0.0.1 localhost\n0.0.0.0 a.example\n", Format::Hosts),
            ("address=/a.example/\nserver=/b.example/\n", Format::Dnsmasq),
            ("$TTL 60\n@ SOA a. b. 1 1 1 1 1\na.example CNAME .\n", Format::Rpz),
            ("a.example CNAME .\n*.a.example CNAME .\n", Format::Rpz),
            ("rows: {keyword: \"a\" value: \"1\"}\n", Format::Txtpb),
            ("# text\nrows {\n", Format::Txtpb),
            ("rows.example\n", Format::Urls),
            ("https://a.example/?q=the CNAME record\nhttps://b.example/ CNAME x\n", Format::Urls),
        ] {
            assert_eq!(format(text.as_bytes()).unwrap(), expected, "{text}");
        }
        let error = format(b"id,\"url\"\n1,x\n").unwrap_err();
        assert!(matches!(error, ListError::CsvColumnNeeded { columns } if columns == "id, url"));
    }
}
