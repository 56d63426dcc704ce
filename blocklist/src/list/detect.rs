//! Detecting the format of a list from its beginning, by what only one format has.

use super::adblock::{COSMETIC, options};
use super::defang::refang;
use super::{Format, ListError, section, sinks, tabular};
use filter_core::sub_url::parts::{self, split_special_scheme};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The number of lines that are looked at.
pub(super) const MAX_LINES: usize = 1_000;

/// How sure it is that a list has the format in which it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certainty {
    /// The caller named the format.
    Given,
    /// A header that no other format has.
    Header,
    /// This many of a hundred lines at the beginning are written as the format wants them, rounded down.
    Lines(u8),
    /// It was not read: it is a page in place of a list, and accepted as that.
    Page,
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("as an option says"),
            Self::Header => f.write_str("by its header"),
            Self::Lines(percent) => write!(f, "by {percent} % of its first lines"),
            Self::Page => f.write_str("a page in place of a list, which gives no entry"),
        }
    }
}

/// Serialised as `given`, `header`, `lines NN%` or `page`.
impl Serialize for Certainty {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given => serializer.serialize_str("given"),
            Self::Header => serializer.serialize_str("header"),
            Self::Page => serializer.serialize_str("page"),
            Self::Lines(percent) => serializer.collect_str(&format_args!("lines {percent}%")),
        }
    }
}

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

/// What a line shows. A comment shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// Only Adblock syntax has it.
    Adblock,
    /// An address and names.
    Hosts,
    Dnsmasq,
    Unbound,
    /// An exact name, as dnscrypt-proxy writes it.
    Dnscrypt,
    /// A resource record.
    Rpz,
    /// A host or a URL with nothing around it, which several formats may have.
    Plain,
    /// None of these. Generic Adblock rules look so, and so does text.
    Unknown,
    Comment,
}

/// Lines by what they show.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    adblock: usize,
    hosts: usize,
    dnsmasq: usize,
    unbound: usize,
    rpz: usize,
    dnscrypt: usize,
    plain: usize,
    unknown: usize,
    /// The plain ones with a path and no scheme.
    paths: usize,
    /// The plain ones that are names alone.
    names: usize,
}

impl Tally {
    fn of(lines: &[&str]) -> Self {
        let mut tally = Self::default();
        for line in lines {
            let evidence = evidence(line);
            let has_path = line.contains('/') && split_special_scheme(line).is_none();
            tally.paths += usize::from(evidence == Evidence::Plain && has_path);
            tally.names += usize::from(evidence == Evidence::Plain && !line.contains(['/', ':']));
            *match evidence {
                Evidence::Adblock => &mut tally.adblock,
                Evidence::Hosts => &mut tally.hosts,
                Evidence::Dnsmasq => &mut tally.dnsmasq,
                Evidence::Unbound => &mut tally.unbound,
                Evidence::Rpz => &mut tally.rpz,
                Evidence::Dnscrypt => &mut tally.dnscrypt,
                Evidence::Plain => &mut tally.plain,
                Evidence::Unknown => &mut tally.unknown,
                Evidence::Comment => continue,
            } += 1;
        }
        tally
    }

    fn total(self) -> usize {
        self.adblock
            + self.hosts
            + self.dnsmasq
            + self.unbound
            + self.rpz
            + self.dnscrypt
            + self.plain
            + self.unknown
    }
}

/// The format of which the beginning of a list has the marks, and how sure that is.
///
/// # Errors
/// [`ListError::CsvColumnNeeded`] for a table, and [`ListError::Ambiguous`] if no format or more than one fits.
pub(super) fn format(start: &[u8]) -> Result<(Format, Certainty), ListError> {
    let text = String::from_utf8_lossy(start);
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).take(MAX_LINES).collect();
    if let Some(format) = header(&lines) {
        return Ok((format, Certainty::Header));
    }
    let found = tabular::find(&text);
    if let Some(columns) = table(&lines) {
        let options = found.map_or_else(String::new, |table| table.options());
        return Err(ListError::CsvColumnNeeded { columns, options });
    }
    let decided = by_lines(&lines);
    let is_open = match &decided {
        Ok((format, certainty)) => *format == Format::Urls && *certainty != Certainty::Lines(0),
        Err(error) => matches!(error, ListError::Ambiguous { .. }),
    };
    if !is_open {
        return decided;
    }
    let hint = match &found {
        Some(table) if let Some(names) = &table.header => {
            let columns = names.join(", ");
            return Err(ListError::CsvColumnNeeded { columns, options: table.options() });
        }
        Some(table) => {
            format!("; {}, as tables have: try {}", table.describe(), table.options())
        }
        None if is_defanged(&lines) => {
            "; entries are written so that they are no links: try --defanged".to_owned()
        }
        None => return decided,
    };
    let seen = match decided {
        Err(ListError::Ambiguous { seen }) => seen,
        _ => "lines could be URLs".to_owned(),
    };
    Err(ListError::Ambiguous { seen: seen + &hint })
}

/// Whether most lines become URLs or hosts only when marks such as `hxxp` and `[.]` are replaced.
fn is_defanged(lines: &[&str]) -> bool {
    let entries: Vec<_> = lines.iter().filter(|line| !line.starts_with(['#', ';', '!'])).collect();
    let is_defanged = |line: &&&&str| {
        let meant = refang(line);
        let first = meant.split_whitespace().next().unwrap_or_default();
        meant != ***line && is_plain(first)
    };
    let defanged = entries.iter().filter(is_defanged).count();
    defanged > 0 && defanged * 2 >= entries.len()
}

/// The format that most lines have.
///
/// # Errors
/// [`ListError::Ambiguous`] if no format or more than one fits.
fn by_lines(lines: &[&str]) -> Result<(Format, Certainty), ListError> {
    let tally = Tally::of(lines);
    let Tally { adblock, hosts, dnsmasq, unbound, rpz, dnscrypt, plain, unknown, paths, names } =
        tally;
    let total = tally.total();
    if total == 0 {
        return Ok((Format::Urls, Certainty::Lines(0)));
    }
    // Adblock lists may hold lines of hosts files, and both may hold hosts without anything around them.
    let candidates = [
        (Format::Adblock, adblock, adblock + hosts + plain - paths),
        (Format::Hosts, hosts, hosts + plain),
        (Format::Dnsmasq, dnsmasq, dnsmasq),
        (Format::Unbound, unbound, unbound),
        (Format::Rpz, rpz, rpz),
        (Format::Dnscrypt, dnscrypt, dnscrypt + names),
        (Format::Urls, plain, plain),
    ];
    let share = |fitting: usize| (fitting * 100 / total) as u8;
    // Generic rules look like nothing else, so that few marks decide as long as nothing speaks for another format.
    let others = dnsmasq + unbound + rpz + dnscrypt;
    // A host with a path is a pattern there, which no key expresses, so that it speaks against Adblock syntax.
    let few_are_enough = adblock * 50 >= plain + hosts && adblock * 50 >= unknown;
    if adblock > paths && others == 0 && few_are_enough {
        return Ok((Format::Adblock, Certainty::Lines(share(adblock + hosts + plain))));
    }
    let best =
        candidates.iter().max_by_key(|(_, own, fitting)| (*fitting * usize::from(*own > 0), *own));
    match best {
        // Half of the lines must fit. What is refused of the others is counted when the list is read.
        Some((format, own, fitting)) if *own > 0 && fitting * 2 >= total => {
            let rival = candidates.iter().any(|(other, own, other_fitting)| {
                other != format
                    && *own * 4 >= total
                    && !matches!(other, Format::Urls)
                    && other_fitting <= fitting
            });
            if rival && !matches!(format, Format::Adblock) {
                return Err(ambiguous(&candidates, total));
            }
            Ok((format.clone(), Certainty::Lines(share(*fitting))))
        }
        _ => Err(ambiguous(&candidates, total)),
    }
}

fn ambiguous(candidates: &[(Format, usize, usize)], total: usize) -> ListError {
    let seen: Vec<String> = candidates
        .iter()
        .filter(|(_, own, _)| *own > 0)
        .map(|(format, own, _)| format!("{own} of {total} lines look like {format}"))
        .collect();
    ListError::Ambiguous {
        seen: if seen.is_empty() {
            "no line looks like a known one".to_owned()
        } else {
            seen.join(", ")
        },
    }
}

/// The format that says its name, or that has a line which no other format has.
fn header(lines: &[&str]) -> Option<Format> {
    if section::is_adblock_header(lines.first()?) {
        return Some(Format::Adblock);
    }
    if lines.iter().find(|line| !line.starts_with('#')).is_some_and(|line| is_txtpb(line)) {
        return Some(Format::Txtpb);
    }
    if let Some(format) = statement(lines) {
        return Some(format);
    }
    const METADATA: [&str; 7] =
        ["title:", "expires:", "homepage:", "last modified:", "licence:", "license:", "checksum:"];
    let is_metadata = |line: &&str| {
        line.strip_prefix('!').is_some_and(|rest| {
            let rest = rest.trim_start().to_ascii_lowercase();
            METADATA.iter().any(|name| rest.starts_with(name))
        })
    };
    let is_adblock_only = |line: &&str| evidence(line) == Evidence::Adblock;
    if lines.iter().any(is_metadata)
        && (lines.iter().any(is_adblock_only) || !lines.iter().any(|line| line.contains("://")))
    {
        return Some(Format::Adblock);
    }
    let is_zone = |line: &&str| {
        let mut words = line.split_whitespace();
        line.starts_with("$ORIGIN")
            || line.starts_with("$TTL")
            || (!line.contains(['#', '/']) && words.nth(1).is_some() && has_word(line, "SOA"))
    };
    lines.iter().filter(|line| !line.starts_with([';', '#'])).any(is_zone).then_some(Format::Rpz)
}

/// The format of configuration in braces, by its first statement.
fn statement(lines: &[&str]) -> Option<Format> {
    let is_comment =
        |line: &&&str| ["#", "//", "/*", "*"].iter().any(|mark| line.starts_with(mark));
    let first = lines.iter().find(|line| !is_comment(line))?;
    let (keyword, rest) = first.split_at(first.find([' ', '\t', '{'])?);
    let rest = rest.trim_start();
    match keyword.to_ascii_lowercase().as_str() {
        "zone" if rest.starts_with('"') => Some(Format::Bind),
        "neg" | "rr" if rest.starts_with('{') => Some(Format::Pdnsd),
        _ => None,
    }
}

fn has_word(line: &str, word: &str) -> bool {
    line.split_whitespace().any(|other| other.eq_ignore_ascii_case(word))
}

fn evidence(line: &str) -> Evidence {
    if is_adblock(line) {
        return Evidence::Adblock;
    }
    if line.starts_with(['#', ';', '!']) {
        return Evidence::Comment;
    }
    let content = line.split_once(" #").map_or(line, |(content, _)| content).trim_end();
    let mut words = content.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    if is_host_address(first) && second.is_some() {
        return Evidence::Hosts;
    }
    if ["address=/", "server=/", "local=/"].iter().any(|start| line.starts_with(start)) {
        return Evidence::Dnsmasq;
    }
    if ["local-zone:", "local-data:", "server:"].contains(&first) {
        return Evidence::Unbound;
    }
    if is_record(line) {
        return Evidence::Rpz;
    }
    if second.is_none() && first.strip_prefix('=').is_some_and(is_host_first) {
        return Evidence::Dnscrypt;
    }
    if second.is_none() && is_plain(first) { Evidence::Plain } else { Evidence::Unknown }
}

/// The address of a hosts line, also in the short forms that resolvers read. A number alone is one only if it is an
/// address of the machine itself: tables begin with numbers as well.
fn is_host_address(word: &str) -> bool {
    sinks::address(word).is_some_and(|address| {
        word.contains(['.', ':']) || address.is_unspecified() || address.is_loopback()
    })
}

fn is_txtpb(line: &str) -> bool {
    line.strip_prefix("rows")
        .is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with([':', '{', '<', '[']))
}

/// Whether a line has what only Adblock syntax has.
fn is_adblock(line: &str) -> bool {
    if line.starts_with("||") || line.starts_with("@@") || line.starts_with("|http") {
        return true;
    }
    // Text before the mark is a list of domains, or nothing.
    if let Some((at, mark)) =
        COSMETIC.iter().filter_map(|mark| Some((line.find(mark)?, mark))).min_by_key(|(at, _)| *at)
    {
        let domains = &line[..at];
        let rest = &line[at + mark.len()..];
        let is_selector = !rest.is_empty() && !rest.starts_with([' ', '#', '=', '-']);
        return is_selector && !domains.contains([' ', '/', ':', '#']);
    }
    if line.starts_with(['#', ';', '!']) || line.contains("://") {
        return false;
    }
    line.ends_with('^') || options::end(line)
}

/// A resource record: an owner, perhaps a TTL and a class, a type and data.
fn is_record(line: &str) -> bool {
    const TYPES: [&str; 6] = ["CNAME", "SOA", "NS", "A", "AAAA", "TXT"];
    if line.contains("://") {
        return false;
    }
    let mut words = line.split_whitespace();
    // An owner that is left out is that of the line before; the lines are trimmed here.
    let is_type = |word: &str| TYPES.contains(&word.to_ascii_uppercase().as_str());
    let is_class_or_ttl = |word: &str| {
        word.eq_ignore_ascii_case("IN") || word.bytes().next().is_some_and(|b| b.is_ascii_digit())
    };
    words.next();
    words.find(|word| !is_class_or_ttl(word)).is_some_and(is_type) && words.next().is_some()
        || line.starts_with("$GENERATE")
}

/// A URL, or a host with or without a path, that a list of them may hold.
pub(super) fn is_plain(word: &str) -> bool {
    if let Some((_, rest)) = split_special_scheme(word) {
        return is_host_first(rest.trim_start_matches(['/', '\\']));
    }
    let rest = match word.split_once("://") {
        Some((scheme, rest)) => {
            if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-')) {
                return false;
            }
            rest
        }
        None => {
            if parts::authority(word).contains('@') {
                return false;
            }
            word.strip_prefix("*.").unwrap_or(word).trim_start_matches('.')
        }
    };
    is_host_first(rest) || word.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6())
}

/// Whether a text begins with a host, perhaps behind a user name and before a port.
fn is_host_first(text: &str) -> bool {
    let host = parts::authority(text);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let is_name = |host: &str| {
        host.contains('.')
            && !host.starts_with(['-', '.', '_'])
            // Bytes in another encoding are refused when the list is read.
            && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '\u{fffd}'))
    };
    let is_address = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.split_once(']'));
        inner.is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok())
    };
    is_address(host) || is_name(host)
}

/// The columns of a table, whose header is the first line or a comment before it that has as many fields.
fn table(lines: &[&str]) -> Option<String> {
    let is_comment = |line: &&&str| line.starts_with(['#', '!', ';', '[']);
    // Spreadsheets may write a line that names the separator.
    let rows = lines.iter().filter(|line| !line.to_ascii_lowercase().starts_with("sep="));
    let first = rows.clone().find(|line| !is_comment(line));
    if let Some(columns) = first.and_then(|line| csv_header(line)) {
        return Some(columns.join(", "));
    }
    let comments = rows.take_while(is_comment).filter(|line| line.starts_with('#'));
    let fits = |columns: &Vec<&str>| {
        let fields = |delimiter| first.map_or(1, |line| line.split(delimiter).count());
        [',', '\t', ';', '|'].into_iter().any(|delimiter| fields(delimiter) == columns.len())
    };
    let mut headers = comments.filter_map(|line| csv_header(line.trim_start_matches(['#', ' '])));
    headers.find(fits).map(|columns| columns.join(", "))
}

/// The columns, if a line is a table's header with a column that is usually called so when it holds URLs.
fn csv_header(line: &str) -> Option<Vec<&str>> {
    const NAMES: [&str; 12] = [
        "url",
        "urls",
        "domain",
        "domains",
        "domainaddress",
        "host",
        "hostname",
        "fqdn",
        "link",
        "ioc",
        "ioc_value",
        "indicator",
    ];
    [',', '\t', ';', '|'].iter().find_map(|&delimiter| {
        let columns: Vec<&str> =
            line.split(delimiter).map(|column| column.trim().trim_matches('"')).collect();
        let sounds =
            columns.iter().any(|column| NAMES.iter().any(|name| column.eq_ignore_ascii_case(name)));
        let are_names = columns.iter().all(|column| !column.contains("://") && column.len() < 64);
        (columns.len() > 1 && sounds && are_names).then_some(columns)
    })
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
            ("https://example.com/##a\nhttps://example.com/b\n", Format::Urls),
            ("https:\\\\a.example\\x\nhttps:/b.example\nHTTPS:c.example\n", Format::Urls),
            ("2001:db8::1\nhttp://user@[2001:db8::2]:80/\n", Format::Urls),
            ("||example.com^\n||example.org^\n", Format::Adblock),
            ("! Title: x\nexample.com\n", Format::Adblock),
            ("# Phishing, malware, domains\n0.0.0.0 a.example\n", Format::Hosts),
            ("! Ads, trackers, domains\n||a.example^\n", Format::Adblock),
            ("# Keywords: blocklist, hosts, domains\na.example\nb.example\n", Format::Urls),
            ("0.0.0.0 a.example # seen in SOA record\n0.0.0.0 b.example\n", Format::Hosts),
            (
                "a.example/x\na.example/y\nb.example/x\nb.example/y\nc.example/z$image\n",
                Format::Urls,
            ),
            ("https://a.example/x\nhttps://b.example/y^\n", Format::Urls),
            ("[Adblock Plus 2.0]\n", Format::Adblock),
            ("[Adblock Plus 2.0]\n-ad-banner.$image\n_banner.gif\n", Format::Adblock),
            ("&ad_box=$third-party\n-ads/\n/adserver/\n||a.example^\n", Format::Adblock),
            ("! x\nexample.com##.ad\n0.0.0.0 a.example\nb.example\n", Format::Adblock),
            ("# hosts\n127.0.0.1 localhost\n0.0.0.0 a.example\n", Format::Hosts),
            ("0 a.example\n127.1 b.example\nc.example\nd.example\ne.example\n", Format::Hosts),
            ("fe80::1%lo0 localhost\n:: a.example # x\n", Format::Hosts),
            ("address=/a.example/\nserver=/b.example/\n", Format::Dnsmasq),
            ("local-zone: \"a.example\" always_nxdomain\n", Format::Unbound),
            ("server:\n  local-data: \"a.example A 0.0.0.0\"\n", Format::Unbound),
            ("// x\nzone \"a.example\" { type master; file \"null.zone\"; };\n", Format::Bind),
            ("zone \"a.example\" IN\n{\n\ttype master;\n};\n", Format::Bind),
            ("# x\nneg { name=a.example; types=domain; }\n", Format::Pdnsd),
            ("rr{ name=a.example; a=0.0.0.0; }\n", Format::Pdnsd),
            ("zone.example\nneg.example\n", Format::Urls),
            ("a.example\n=b.example\nc.example\n", Format::Dnscrypt),
            ("$TTL 60\n@ SOA a. b. 1 1 1 1 1\na.example CNAME .\n", Format::Rpz),
            ("@ SOA localhost. root.localhost. 1 2 3 4 5\nbad.example.rpz. CNAME .\n", Format::Rpz),
            ("a.example CNAME .\n*.a.example 60 IN CNAME .\n", Format::Rpz),
            ("rows: {keyword: \"a\" value: \"1\"}\n", Format::Txtpb),
            ("# text\nrows {\n", Format::Txtpb),
            ("rows.example\n", Format::Urls),
            ("https://b.example/\nhttps://a.example/?q=the-CNAME-record\n", Format::Urls),
        ] {
            assert_eq!(format(text.as_bytes()).unwrap().0, expected, "{text}");
        }
        let tables = [
            ("id,\"url\"\n1,x\n", "id, url"),
            ("Number\tDomainAddress\tDate\n1\tbad.example\tx\n", "Number, DomainAddress, Date"),
            ("# id,dateadded,url\n\"1\",\"x\",\"http://a.example\"\n", "id, dateadded, url"),
            ("id;host\n", "id, host"),
        ];
        for (text, expected) in tables {
            let error = format(text.as_bytes()).unwrap_err();
            assert!(
                matches!(error, ListError::CsvColumnNeeded { columns, .. } if columns == expected)
            );
        }
    }

    #[test]
    fn tables_and_defanged_lists_are_named() {
        for (text, expected) in [
            ("https://a.example/x,2026-01-01\nhttps://b.example/y,2026-01-02\n", "--format csv=1"),
            ("a.example/x\t1\nb.example/y\t2\n", "--format tsv=1"),
            ("a.example;malware\nb.example;malware\n", "--format csv=1"),
            (
                "phish_url,Seen\nhttps://a.example/x,1\nhttps://b.example/y,2\n",
                "--format csv=phish_url",
            ),
            ("id,url\n1,https://a.example/x\n", "--format csv=url"),
            ("hxxp://a.example/x\nhxxps://b.example/y\n", "--defanged"),
            ("a[.]example\nb[.]example/x\nc.example\n", "--defanged"),
        ] {
            let error = format(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let error = format(b"some words\nand more words\n").unwrap_err().to_string();
        for name in ["tsv=COLUMN", "tpl", "json=FIELD, json"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("--defanged"), "{error}");
    }

    #[test]
    fn how_sure_it_is_is_said() {
        for (text, expected) in [
            ("[Adblock Plus 2.0]\n", Certainty::Header),
            ("$ORIGIN x.example.\n", Certainty::Header),
            ("a.example\nb.example\nsome words here\nc.example\n", Certainty::Lines(75)),
        ] {
            assert_eq!(format(text.as_bytes()).unwrap().1, expected, "{text}");
        }
    }

    #[test]
    fn what_fits_no_format_or_several_is_not_guessed() {
        for text in [
            "1\tbad.example\t2026-01-01\n2\tworse.example\t2026-01-02\n",
            "The list has moved.\nPlease see the new page.\n",
            "a.example CNAME .\naddress=/b.example/\n",
            "0.0.0.0 a.example\n0.0.0.0 d.example\naddress=/b.example/\naddress=/c.example/\n",
        ] {
            let error = format(text.as_bytes()).unwrap_err();
            assert!(matches!(error, ListError::Ambiguous { .. }), "{text}");
            assert!(error.to_string().contains("--format"), "{error}");
        }
    }

    #[test]
    fn the_first_lines_decide() {
        for (hosts, percent) in [(MAX_LINES - 1, 99), (MAX_LINES, 100), (MAX_LINES + 1, 100)] {
            let other = "address=/x.example/0.0.0.0\n";
            let text = format!("{}{other}", "0.0.0.0 a.example\n".repeat(hosts));
            let found = format(text.as_bytes()).unwrap();
            assert_eq!(found, (Format::Hosts, Certainty::Lines(percent)), "{hosts}");
        }
    }
}
