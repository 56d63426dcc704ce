//! Ages of what was noted at a time of day, which clocks may have had wrong.

use std::time::Duration;
use unix_clock::Timestamp;

/// Longest time by which a stored time may be later than the present: clocks are corrected.
const MAX_AHEAD: Duration = Duration::from_secs(300);

/// The age of what happened at a time; `None` if that time is yet to come, because a clock was wrong then or
/// is wrong now.
pub(super) fn age_at(now: Timestamp, time: Timestamp) -> Option<Duration> {
    (time <= now + MAX_AHEAD).then(|| now.since(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_are_too_far_ahead_are_not_believed() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        let second = Duration::from_secs(1);
        assert_eq!(age_at(now, now + (MAX_AHEAD - second)), Some(Duration::ZERO));
        assert_eq!(age_at(now, now + MAX_AHEAD), Some(Duration::ZERO));
        assert_eq!(age_at(now, now + (MAX_AHEAD + second)), None);
    }
}
