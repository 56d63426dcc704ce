//! The formats and their names.

use std::fmt;
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
    /// `tpl`: a tracking protection list of Internet Explorer (`-d host`). Its rules are for third-party requests.
    Tpl,
    /// `rpz`: a response policy zone (draft-vixie-dnsop-dns-rpz), in zone-file syntax.
    Rpz,
    /// `csv=COLUMN`: comma-separated values with a header row. One column holds URLs or hosts.
    Csv {
        /// Name of the column, as in the header; case does not matter.
        column: String,
    },
    /// `txtpb`: a keyword database in the protobuf text format, `rows: {keyword: "…" value: "1"}`.
    Txtpb,
}

/// The names of formats without a column.
const NAMES: [(&str, Format); 8] = [
    ("urls", Format::Urls),
    ("hosts", Format::Hosts),
    ("adblock", Format::Adblock),
    ("dnsmasq", Format::Dnsmasq),
    ("unbound", Format::Unbound),
    ("tpl", Format::Tpl),
    ("rpz", Format::Rpz),
    ("txtpb", Format::Txtpb),
];

/// What comes before the column in the name of [`Format::Csv`].
const CSV: &str = "csv=";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Csv { column } = self {
            return write!(f, "{CSV}{column}");
        }
        let name = NAMES.iter().find_map(|(name, format)| (format == self).then_some(name));
        f.write_str(name.expect("every format without a column has a name"))
    }
}

/// A format name that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no list format is called `{name}`; there are urls, hosts, adblock, dnsmasq, unbound, tpl, rpz, csv=COLUMN and txtpb"
)]
#[non_exhaustive]
pub struct UnknownFormat {
    /// The name that was given.
    pub name: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        if let Some(column) = name.strip_prefix(CSV).filter(|column| !column.is_empty()) {
            return Ok(Self::Csv { column: column.to_owned() });
        }
        let format = NAMES.iter().find_map(|(known, format)| (*known == name).then_some(format));
        format.cloned().ok_or_else(|| UnknownFormat { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_names_are_read_back() {
        for name in [
            "urls",
            "hosts",
            "adblock",
            "dnsmasq",
            "unbound",
            "tpl",
            "rpz",
            "txtpb",
            "csv=my column",
        ] {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        let error = "tsv".parse::<Format>().unwrap_err().to_string();
        assert!(NAMES.iter().all(|(name, _)| error.contains(name)), "{error}");
        assert!("csv".parse::<Format>().is_err() && "csv=".parse::<Format>().is_err());
    }
}
