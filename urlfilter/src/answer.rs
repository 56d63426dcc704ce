//! Answers of servers, of bounded length.

use anyhow::ensure;

/// Longest answer that is read: configurations of many use cases, and then some.
const MOST: usize = 16 << 20;

/// Reads an answer to its end.
///
/// # Errors
/// If it breaks off, or goes on for too long.
pub(crate) async fn body(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        ensure!(body.len() + piece.len() <= MOST, "an answer of more than {MOST} bytes");
        body.extend_from_slice(&piece);
    }
    Ok(body)
}
