//! The formats and their names.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// The format of a list. Displays as the name that [`from_str`](FromStr::from_str) reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `urls`: one URL or host a line.
    Urls,
    /// `hosts`: a hosts file, lines of an address and the names that resolve to it.
    Hosts,
    /// `adblock`: Adblock syntax. Only network rules on a host can become keys.
    Adblock,
    /// `dnsmasq`: dnsmasq configuration (`address=/host/`, `server=/host/`, `local=/host/`).
    Dnsmasq,
    /// `unbound`: unbound configuration (`local-zone: "host" always_nxdomain`, `local-data: "host A 0.0.0.0"`).
    Unbound,
    /// `bind`: BIND configuration (`zone "host" { type master; file "null.zone"; };`).
    Bind,
    /// `pdnsd`: pdnsd configuration (`neg { name=host; types=domain; }`).
    Pdnsd,
    /// `dnscrypt`: a list of names for dnscrypt-proxy (`host`, `=host`).
    Dnscrypt,
    /// `tpl`: a tracking protection list of Internet Explorer (`-d host`). Its rules are for third-party requests.
    Tpl,
    /// `rpz`: a response policy zone (draft-vixie-dnsop-dns-rpz), in zone-file syntax.
    Rpz,
    /// `csv=COLUMN`: rows of fields that commas, semicolons, tabs or `|` separate; the beginning of the list
    /// shows which. One column holds URLs or hosts.
    Csv {
        /// The column of URLs or hosts, by name or number.
        column: Column,
    },
    /// `tsv=COLUMN`: the same with tabs.
    Tsv {
        /// The column of URLs or hosts, by name or number.
        column: Column,
    },
    /// `json=FIELD`, `json`: a JSON document, or one a line. The objects that have the field are its rows, however
    /// they are nested; without a field, the document is an array of strings.
    Json {
        /// The field that holds a URL or a host, or an array of them; case does not matter.
        field: Option<String>,
    },
    /// `txtpb`: a keyword database in the protobuf text format, `rows: {keyword: "…" value: "1"}`.
    Txtpb,
}

/// A column of a list of rows. Displays as the text that [`from_str`](FromStr::from_str) reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Column {
    /// By its name in the header, in which case does not matter.
    Name(String),
    /// By its number, counted from 1.
    Number(NonZeroUsize),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A text that names no column: empty, or a number that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a column is a name, or a number from 1")]
#[non_exhaustive]
pub struct NoColumn;

impl FromStr for Column {
    type Err = NoColumn;

    /// Digits are a number, anything else is a name.
    fn from_str(text: &str) -> Result<Self, NoColumn> {
        let text = text.trim();
        if text.is_empty() {
            Err(NoColumn)
        } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().map(Self::Number).map_err(|_| NoColumn)
        } else {
            Ok(Self::Name(text.to_owned()))
        }
    }
}

/// The names of formats without a column.
const NAMES: [(&str, Format); 12] = [
    ("urls", Format::Urls),
    ("hosts", Format::Hosts),
    ("adblock", Format::Adblock),
    ("dnsmasq", Format::Dnsmasq),
    ("unbound", Format::Unbound),
    ("bind", Format::Bind),
    ("pdnsd", Format::Pdnsd),
    ("dnscrypt", Format::Dnscrypt),
    ("tpl", Format::Tpl),
    ("rpz", Format::Rpz),
    ("json", Format::Json { field: None }),
    ("txtpb", Format::Txtpb),
];

/// What comes before the column or field in the names of formats with rows.
const CSV: &str = "csv=";
const TSV: &str = "tsv=";
const JSON: &str = "json=";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Csv { column } => return write!(f, "{CSV}{column}"),
            Self::Tsv { column } => return write!(f, "{TSV}{column}"),
            Self::Json { field: Some(field) } => return write!(f, "{JSON}{field}"),
            _ => {}
        }
        let name = NAMES.iter().find_map(|(name, format)| (format == self).then_some(name));
        f.write_str(name.expect("every format without a column has a name"))
    }
}

/// A format name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no list format is called `{name}`; there are urls, hosts, adblock, dnsmasq, unbound, bind, pdnsd, dnscrypt, tpl, rpz, csv=COLUMN, tsv=COLUMN, json=FIELD, json and txtpb; a column is a name, or a number from 1"
)]
#[non_exhaustive]
pub struct UnknownFormat {
    /// The name that was given.
    pub name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let unknown = || UnknownFormat { name: name.to_owned() };
        let column = |text: &str| text.parse::<Column>().map_err(|_| unknown());
        if let Some(text) = name.strip_prefix(CSV) {
            return Ok(Self::Csv { column: column(text)? });
        }
        if let Some(text) = name.strip_prefix(TSV) {
            return Ok(Self::Tsv { column: column(text)? });
        }
        if let Some(field) = name.strip_prefix(JSON).filter(|field| !field.is_empty()) {
            return Ok(Self::Json { field: Some(field.to_owned()) });
        }
        let format = NAMES.iter().find_map(|(known, format)| (*known == name).then_some(format));
        format.cloned().ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_names_are_read_back() {
        let with_column = ["csv=my column", "csv=3", "tsv=url", "tsv=1", "json=url", "json=3"];
        for name in NAMES.iter().map(|(name, _)| *name).chain(with_column) {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        let error = "tsv".parse::<Format>().unwrap_err().to_string();
        assert!(NAMES.iter().all(|(name, _)| error.contains(name)), "{error}");
        for name in ["csv", "csv=", "csv= ", "csv=0", "csv=99999999999999999999", "tsv", "json="] {
            assert!(name.parse::<Format>().is_err(), "{name}");
        }
    }
}
