//! Results on standard output, talk on standard error.

use indicatif::ProgressStyle;
use serde::Serialize;
use std::fmt::Arguments;
use std::io::{self, StdoutLock, Write};

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
