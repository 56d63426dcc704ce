//! Results on standard output, everything else on standard error.

use error_reporter::Report;
use indicatif::{ProgressBar, ProgressStyle};
use pir_dataset::progress::{Notice, Phase, Progress};
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Arguments;
use std::io::{self, StdoutLock, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// How a command ended. The later variant counts where several answers are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: done.
    Success,
    /// 1: done, and the answer is one that a script should branch on.
    Attention,
    /// 2: not done, or not for all arguments.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Attention => 1,
            Exit::Failure => 2,
        })
    }
}

/// Standard output: one JSON object a line, or lines for people.
#[must_use = "results are complete when `finish` was called"]
pub(crate) struct Results {
    out: io::BufWriter<StdoutLock<'static>>,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self { out: io::BufWriter::new(io::stdout().lock()) }
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(value)?;
        // JSON escapes those below U+0020 alone.
        if text.contains(char::is_control) {
            let escaped = text.chars().map(|c| match c.is_control() {
                true => format!("\\u{:04x}", u32::from(c)),
                false => c.to_string(),
            });
            text = escaped.collect();
        }
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(crate) fn line(&mut self, text: Arguments<'_>) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{}", printable(&text.to_string()))?)
    }

    /// Writes out what is buffered. Errors would be lost if the buffer were only dropped.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// Progress in bytes, as a template of indicatif.
pub(crate) const BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} {eta}";

/// A progress bar that looks as `template` says.
pub(crate) fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are constants")
}

/// Writes a line to standard error.
pub(crate) fn note(text: Arguments<'_>) {
    // There is no other place to report that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", printable(&text.to_string()));
}

/// A text with its control characters escaped, but for line ends and tabs. URLs, lists and answers of servers are printed, and a
/// terminal would obey what is in them.
fn printable(text: &str) -> Cow<'_, str> {
    let is_obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let escaped = text.chars().map(|c| match is_obeyed(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    Cow::Owned(escaped.collect())
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    Report::new(error).to_string()
}

/// The error of a command, option or address that this build does not support.
pub(crate) fn missing_feature(what: &str, feature: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "{what} needs the feature `{feature}`, which this build lacks; install it with \
         `cargo install --path urlfilter --features {feature}`, or everything with `--features full`"
    )
}

/// Refuses an address that needs a feature which this build lacks.
pub(crate) fn check_address(address: &str) -> anyhow::Result<()> {
    let is_https = address.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"));
    match is_https && cfg!(not(feature = "tls")) {
        true => Err(missing_feature(&format!("{address}: an https:// address"), "tls")),
        false => Ok(()),
    }
}

/// Whether the reader of standard output has gone away, as `head` does.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(is)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|e| e.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

/// Shows the progress of library calls as bars and lines on standard error.
#[derive(Default)]
pub(crate) struct Bars(Mutex<Option<ProgressBar>>);

impl Bars {
    fn replace(&self, bar: Option<ProgressBar>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = std::mem::replace(&mut *shown, bar) {
            earlier.finish_and_clear();
        }
    }
}

impl Progress for Bars {
    fn begin(&self, phase: Phase, total: u64) {
        const SHARE: &str = "{msg} {bar:30} {percent}% {eta}";
        const COUNT: &str = "{msg} {bar:30} {pos}/{len}";
        let (message, template) = match phase {
            Phase::ReadingRows => ("reading", SHARE),
            Phase::EncryptingRows => ("encrypting", SHARE),
            Phase::MakingShards => ("shards", SHARE),
            Phase::TryingLayouts => ("layouts", COUNT),
            Phase::Uploading => ("uploading", BYTES),
            Phase::MakingDeltas => ("comparing with the release before", BYTES),
            Phase::WaitingUntilReady => ("nodes that have the release", COUNT),
            Phase::WaitingUntilServed => ("nodes that serve the release", COUNT),
            _ => ("working", SHARE),
        };
        let bar = ProgressBar::new(total).with_message(message).with_style(bar_style(template));
        self.replace(Some(bar));
    }

    fn advance(&self, units: u64) {
        if let Some(bar) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            bar.inc(units);
        }
    }

    fn end(&self) {
        self.replace(None);
    }

    fn notice(&self, notice: Notice) {
        match notice {
            Notice::NoRows => {
                note(format_args!("the input has no rows: every lookup will find nothing"));
            }
            Notice::NodeUnusable { address, reason, left, .. } => note(format_args!(
                "node {address} cannot be reached or used: {reason}; trying for {} s more (--node-timeout)",
                left.as_secs()
            )),
            Notice::NodeBehind { address, left, .. } => note(format_args!(
                "node {address} has not got the release yet; waiting for {} s more (--node-timeout)",
                left.as_secs()
            )),
            Notice::NoDelta { name, reason, .. } => {
                note(format_args!("{name}: no delta, so nodes fetch whole files: {reason}"))
            }
            Notice::WaitingForActivation(left) => {
                note(format_args!("waiting {} s until the release is served", left.as_secs()));
            }
            Notice::WaitingForPrevious(left) => note(format_args!(
                "waiting {} s with the prefilter, until nodes that cannot be asked serve the release and devices have its \
                 configuration if that is new",
                left.as_secs()
            )),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\tb\nü\u{200d}"), "a\tb\nü\u{200d}");
        assert_eq!(
            printable("https://a.example/\u{1b}[31m\r\u{9b}"),
            "https://a.example/\\u{1b}[31m\\r\\u{9b}"
        );
    }
}
