//! Results on standard output, talk on standard error.

use indicatif::{ProgressBar, ProgressStyle};
use pir_dataset::progress::{Notice, Phase, Progress};
use serde::Serialize;
use std::fmt::Arguments;
use std::io::{self, StdoutLock, Write};
use std::sync::{Mutex, PoisonError};

/// Done, and nothing to say.
pub(crate) const DONE: u8 = 0;
/// Done, and the answer is one that a script should branch on.
pub(crate) const NOTEWORTHY: u8 = 1;
/// Not done.
pub(crate) const TROUBLE: u8 = 2;

/// Standard output for results: one JSON object a line, or lines for people.
pub(crate) struct Results {
    out: io::BufWriter<StdoutLock<'static>>,
}

impl Results {
    pub(crate) fn new() -> Self {
        Self { out: io::BufWriter::new(io::stdout().lock()) }
    }

    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        Ok(self.out.write_all(b"\n")?)
    }

    pub(crate) fn line(&mut self, text: Arguments<'_>) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Must be called at the end: errors of a buffer that is dropped are lost.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

/// How a bar shows its progress, by a template of indicatif.
pub(crate) fn bar_style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or(ProgressStyle::default_bar())
}

/// Bytes of so many.
pub(crate) const BYTES: &str = "{msg} {bar:30} {bytes}/{total_bytes} {eta}";

/// Says something on standard error. If nobody listens there, nothing can be done about it.
pub(crate) fn note(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the reader of standard output went away, as `head` does.
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
            Phase::Uploading => ("uploading", BYTES),
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
            Notice::WaitingForActivation(left) => {
                note(format_args!("waiting {} s until the release is served", left.as_secs()));
            }
            Notice::WaitingForPrevious(left) => note(format_args!(
                "waiting {} s until no device is served the data set before it",
                left.as_secs()
            )),
            _ => {}
        }
    }
}
