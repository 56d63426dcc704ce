//! How long a store is left alone that does not answer.

use std::time::Duration;
use tokio::time::Instant;

/// The first pause.
const FIRST: Duration = Duration::from_secs(10);
/// The longest one.
const MAX_BACKOFF: Duration = Duration::from_secs(600);

/// How long a store that does not answer is left alone.
#[derive(Clone, Copy)]
pub(super) struct Backoff {
    pause: Duration,
    until: Instant,
}

impl Backoff {
    /// Whether the pause goes on.
    pub(super) fn is_on(self) -> bool {
        Instant::now() < self.until
    }

    /// Twice the one before, if there was one.
    pub(super) fn after(before: Option<Self>) -> Self {
        let pause = before.map_or(FIRST, |silence| 2 * silence.pause).min(MAX_BACKOFF);
        Self { pause, until: Instant::now() + pause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_double_up_to_their_limit() {
        let mut pause = None;
        for seconds in [10, 20, 40, 80, 160, 320, 600, 600] {
            pause = Some(Backoff::after(pause));
            let found = pause.unwrap();
            assert_eq!(found.pause, Duration::from_secs(seconds));
            assert_eq!(found.until, Instant::now() + found.pause);
        }
    }
}
