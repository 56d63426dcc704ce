//! Whose certificates are trusted.

use crate::output::missing_feature;
use anyhow::Context;
use filter_client::{HttpTransport, Transport};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest file with an authority, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The system's authorities, and possibly one more.
pub(super) struct Authority(Option<(PathBuf, Vec<u8>)>);

impl Authority {
    /// Reads the PEM file of the authority to trust in addition to the system's.
    pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        if !cfg!(feature = "tls") {
            return Err(missing_feature("--authority", "tls"));
        }
        let pem =
            durable_file::read(path, MAX_BYTES).context("cannot read the file of --authority")?;
        Ok(Self(Some((path.to_owned(), pem))))
    }

    /// A transport of its own with a timeout for each exchange.
    pub(super) fn transport(&self, timeout: Duration) -> anyhow::Result<Arc<dyn Transport>> {
        let mut builder = HttpTransport::builder().timeout(timeout);
        if let Some((path, pem)) = &self.0 {
            builder = trusting(builder, pem)
                .with_context(|| format!("--authority {}", path.display()))?;
        }
        // The content of a certificate is parsed here, not when its PEM form is.
        let transport = builder.build().with_context(|| match &self.0 {
            Some((path, _)) => {
                format!("--authority {}: no certificate that can be used", path.display())
            }
            None => "TLS cannot be set up".to_owned(),
        })?;
        Ok(Arc::new(transport))
    }
}

#[cfg(feature = "tls")]
fn trusting(
    builder: filter_client::HttpTransportBuilder,
    pem: &[u8],
) -> anyhow::Result<filter_client::HttpTransportBuilder> {
    Ok(builder.trust_pem(pem)?)
}

#[cfg(not(feature = "tls"))]
fn trusting(
    builder: filter_client::HttpTransportBuilder,
    _: &[u8],
) -> anyhow::Result<filter_client::HttpTransportBuilder> {
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_at_most_the_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for length in [MAX_BYTES - 1, MAX_BYTES, MAX_BYTES + 1] {
            file.as_file().set_len(length).unwrap();
            let is_read = Authority::read(Some(file.path())).is_ok();
            assert_eq!(is_read, cfg!(feature = "tls") && length <= MAX_BYTES, "{length}");
        }
    }
}
