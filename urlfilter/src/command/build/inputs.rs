//! The lists of a build, each with the format that holds for it.

use blocklist::list::{Format, ListError};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};
use std::path::PathBuf;

/// A list to read.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Where it is; `-` is standard input.
    pub(crate) path: PathBuf,
    /// Its format; detected if it is `None`.
    pub(crate) format: Option<Format>,
    /// Whether it says what must not be blocked.
    pub(crate) is_allow_list: bool,
    /// Whether a `--format` stands in front of it.
    is_behind_format: bool,
}

/// What standard input is called in reports and errors.
pub(crate) const STANDARD_INPUT: &str = "standard input";

impl Input {
    /// What the list is called in reports and errors.
    pub(crate) fn name(&self) -> String {
        match self.path.as_os_str() == "-" {
            true => STANDARD_INPUT.to_owned(),
            false => self.path.display().to_string(),
        }
    }
}

/// All lists, in the order of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Inputs(pub(crate) Vec<Input>);

impl Inputs {
    /// The lists of a command that may work, if `list` is one of several and needs another format than they have.
    pub(crate) fn advice(&self, list: &Input, error: &ListError) -> Option<String> {
        if self.0.len() < 2 {
            return None;
        }
        let auto = || "auto".to_owned();
        let given = |of: &Input| of.format.as_ref().map_or_else(auto, Format::to_string);
        let format_of: Box<dyn Fn(&Input) -> String> = match error {
            ListError::CsvColumnNeeded { .. } | ListError::Ambiguous { .. } => {
                let wanted = match error {
                    ListError::CsvColumnNeeded { options, .. } => {
                        let first = options.split_whitespace().nth(1);
                        first.unwrap_or("csv=COLUMN").trim_end_matches(',').to_owned()
                    }
                    _ => "FORMAT".to_owned(),
                };
                Box::new(move |of| if of.path == list.path { wanted.clone() } else { given(of) })
            }
            // The one format, which holds for all of them, is meant for those behind it.
            ListError::CsvColumnMissing { .. }
            | ListError::JsonFieldMissing { .. }
            | ListError::JsonFieldOutside { .. }
            | ListError::JsonMalformed { .. }
                if self.0.iter().all(|of| of.format == list.format) =>
            {
                Box::new(move |of| match of.is_behind_format && of.path != list.path {
                    true => given(of),
                    false => auto(),
                })
            }
            _ => return None,
        };
        let mut command = String::new();
        let mut last = None;
        for input in &self.0 {
            let format = format_of(input);
            if last.as_ref() != Some(&format) {
                command += &format!(" --format {format}");
                last = Some(format);
            }
            let flag = if input.is_allow_list { " --allow" } else { "" };
            command += &format!("{flag} {}", input.path.display());
        }
        Some(format!(
            "a single --format holds for all lists, and of several each for those behind it: urlfilter build{command}"
        ))
    }
}

const FILE: &str = "files";
const ALLOW: &str = "allow";
const FORMAT: &str = "format";

#[derive(Clone, Debug)]
enum ListFormat {
    Auto,
    Named(Format),
}

impl ListFormat {
    fn format(&self) -> Option<Format> {
        match self {
            Self::Auto => None,
            Self::Named(format) => Some(format.clone()),
        }
    }
}

fn parse_format(name: &str) -> Result<ListFormat, String> {
    match name {
        "auto" => Ok(ListFormat::Auto),
        name => name
            .parse()
            .map(ListFormat::Named)
            .map_err(|error: blocklist::list::UnknownFormat| error.to_string()),
    }
}

impl clap::Args for Inputs {
    fn augment_args(command: Command) -> Command {
        let path = clap::value_parser!(PathBuf);
        command
            .arg(
                Arg::new(FILE)
                    .value_name("FILE")
                    .num_args(0..)
                    .default_value("-")
                    .value_parser(path.clone())
                    .help("Block lists; `-` reads standard input"),
            )
            .arg(
                Arg::new(ALLOW)
                    .long("allow")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .value_parser(path)
                    .help("A list in any format of what must not be blocked, whatever other lists say; can be repeated"),
            )
            .arg(
                Arg::new(FORMAT)
                    .long("format")
                    .value_name("FORMAT")
                    .action(ArgAction::Append)
                    .value_parser(parse_format)
                    .help(
                        "Format of the files that follow, up to the next --format; a single one holds for all files",
                    )
                    .long_help(
                        "Format of the files that follow, up to the next --format; a single one holds for all files, \
                         wherever it stands. One of auto, urls, hosts, adblock, dnsmasq, unbound, bind, pdnsd, \
                         dnscrypt, rpz, tpl, csv=COLUMN, tsv=COLUMN, json=FIELD, json and txtpb; auto, the default, detects it",
                    ),
            )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Inputs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let formats: Vec<(usize, ListFormat)> = placed(matches, FORMAT);
        let format_at = |place: usize| match formats.as_slice() {
            [(_, only)] => only.format(),
            all => {
                let before = all.iter().rfind(|(at, _)| *at < place);
                before.and_then(|(_, format)| format.format())
            }
        };
        let mut inputs = Vec::new();
        for (name, is_allow_list) in [(FILE, false), (ALLOW, true)] {
            for (place, path) in placed::<PathBuf>(matches, name) {
                let is_behind_format = formats.iter().any(|(at, _)| *at < place);
                let format = format_at(place);
                inputs.push((place, Input { path, format, is_allow_list, is_behind_format }));
            }
        }
        inputs.sort_by_key(|(place, _)| *place);
        // Files that are not named have no place.
        let are_named = matches.value_source(FILE) != Some(ValueSource::DefaultValue);
        if formats.len() > 1 && are_named {
            let ends = formats.iter().skip(1).map(|(place, _)| *place).chain([usize::MAX]);
            for ((start, _), end) in formats.iter().zip(ends) {
                if !inputs.iter().any(|(place, _)| (*start..end).contains(place)) {
                    return Err(Error::raw(
                        ErrorKind::ValueValidation,
                        "a --format holds for no file: of several, each has its files behind it, before the next one\n",
                    ));
                }
            }
        }
        Ok(Self(inputs.into_iter().map(|(_, input)| input).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The values of an argument with their places on the command line.
fn placed<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<(usize, T)> {
    let places = matches.indices_of(name).into_iter().flatten();
    let values = matches.get_many::<T>(name).into_iter().flatten();
    places.zip(values.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Args;

    fn formats(arguments: &[&str]) -> Vec<String> {
        let command = Inputs::augment_args(Command::new("build"));
        let matches = command.get_matches_from([&["build"], arguments].concat());
        let inputs = Inputs::from_arg_matches(&matches).unwrap().0;
        let text = |input: Input| {
            let format = input.format.map_or("auto".to_owned(), |format| format.to_string());
            let allow = if input.is_allow_list { " allow" } else { "" };
            format!("{} {format}{allow}", input.path.display())
        };
        inputs.into_iter().map(text).collect()
    }

    #[test]
    fn the_command_that_gives_each_list_its_format_is_named() {
        let advice = |arguments: &[&str], at: usize, error: &ListError| {
            let command = Inputs::augment_args(Command::new("build"));
            let matches = command.get_matches_from([&["build"], arguments].concat());
            let inputs = Inputs::from_arg_matches(&matches).unwrap();
            let advice = inputs.advice(&inputs.0[at], error)?;
            advice.split_once("urlfilter build").map(|(_, lists)| lists.to_owned())
        };
        let error_of = |text: &str, format: Option<&str>| {
            let options = blocklist::list::ReadOptions::default()
                .with_format(format.map(|format| format.parse().unwrap()));
            blocklist::list::read(text.as_bytes(), &options, |_| {}).unwrap_err()
        };
        let table = error_of("id,url\n1,https://a.example/\n2,https://b.example/\n", None);
        assert_eq!(
            advice(&["a.hosts", "b.txt", "feed.csv"], 2, &table).as_deref(),
            Some(" --format auto a.hosts b.txt --format csv=url feed.csv")
        );
        assert_eq!(advice(&["feed.csv"], 0, &table), None);
        let other = error_of("0.0.0.0 a.example\n0.0.0.0 b.example\n", Some("csv=url"));
        let mixed = ["a.hosts", "b.txt", "--format", "csv=url", "feed.csv", "--allow", "c"];
        assert_eq!(
            advice(&mixed, 0, &other).as_deref(),
            Some(" --format auto a.hosts b.txt --format csv=url feed.csv --allow c")
        );
        let unclear = error_of("a\nb\nc\n", None);
        assert_eq!(
            advice(&["a", "--allow", "b"], 1, &unclear).as_deref(),
            Some(" --format auto a --format FORMAT --allow b")
        );
    }

    #[test]
    fn a_single_format_holds_for_all_files() {
        assert_eq!(formats(&["a", "--format", "hosts", "b"]), ["a hosts", "b hosts"]);
        assert_eq!(formats(&["a", "b"]), ["a auto", "b auto"]);
        assert_eq!(formats(&[]), ["- auto"]);
        assert_eq!(formats(&["--format=urls"]), ["- urls"]);
    }

    #[test]
    fn of_several_formats_each_has_a_file_behind_it() {
        for (arguments, is_right) in [
            (&["a", "--format", "urls", "b", "--format", "hosts"][..], false),
            (&["--format", "urls", "--format", "hosts", "a"], false),
            (&["--format", "urls", "a", "--format", "hosts", "--allow", "b"], true),
        ] {
            let command = Inputs::augment_args(Command::new("build"));
            let matches = command.get_matches_from([&["build"], arguments].concat());
            assert_eq!(Inputs::from_arg_matches(&matches).is_ok(), is_right, "{arguments:?}");
        }
    }

    #[test]
    fn several_formats_hold_for_the_files_behind_them() {
        assert_eq!(
            formats(&["z", "--format", "csv=url", "a", "--format", "auto", "b", "c"]),
            ["z auto", "a csv=url", "b auto", "c auto"]
        );
        assert_eq!(
            formats(&["--format", "urls", "a", "--format", "hosts", "--allow", "b", "c"]),
            ["a urls", "b hosts allow", "c hosts"]
        );
    }
}
