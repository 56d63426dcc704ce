//! `! Expires: 4 days`: how long a list asks not to be fetched again.

use std::time::Duration;

/// How much of a list is searched, in bytes.
pub(crate) const SEARCHED: usize = 4096;
/// The longest span that is believed, as of Adblock Plus.
const MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// The shortest one.
const MIN: Duration = Duration::from_secs(3600);

/// The span that the comments at the beginning of a list name, from an hour to 14 days.
pub(crate) fn of(start: &[u8]) -> Option<Duration> {
    let start = &start[..start.len().min(SEARCHED)];
    String::from_utf8_lossy(start).lines().find_map(of_line)
}

fn of_line(line: &str) -> Option<Duration> {
    let comment = line.trim_start().strip_prefix(['!', '#'])?.trim_start_matches(['!', '#', ' ']);
    let (name, value) = comment.split_once(':')?;
    if !name.trim().eq_ignore_ascii_case("expires") {
        return None;
    }
    let value = value.trim_start();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit = unit.trim_start().chars().next().map(|c| c.to_ascii_lowercase());
    let seconds = match unit {
        Some('h') => 3600,
        Some('m') => 60,
        // Days, as in "4 days (update frequency)", and numbers without a unit.
        _ => 24 * 3600,
    };
    Some(Duration::from_secs(number.saturating_mul(seconds)).clamp(MIN, MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    #[test]
    fn spans_are_read_in_days_hours_and_minutes() {
        for (line, hours) in [
            ("! Expires: 4 days (update frequency)", Some(96)),
            ("! Expires: 1 day", Some(24)),
            ("!Expires:12 hours", Some(12)),
            ("# Expires: 6h", Some(6)),
            ("! expires: 2", Some(48)),
            ("! Expires: 90 minutes", None),
            ("! Expires: 0 days", Some(1)),
            ("! Expires: 99 days", Some(14 * 24)),
            ("! Expires: 99999999999999999999 days", None),
        ] {
            let expected = hours.map(|hours| Duration::from_secs(hours * HOUR));
            match line.contains("90") {
                true => assert_eq!(of(line.as_bytes()), Some(Duration::from_secs(5400))),
                false => assert_eq!(of(line.as_bytes()), expected, "{line}"),
            }
        }
    }

    #[test]
    fn other_lines_name_no_span() {
        for text in ["Expires: 4 days", "! Title: x", "||expires.example^", "! Expires: soon", ""] {
            assert_eq!(of(text.as_bytes()), None, "{text}");
        }
        let list = "[Adblock Plus 2.0]\n! Title: x\n! Expires: 2 days\n||x.example^\n";
        assert_eq!(of(list.as_bytes()), Some(Duration::from_secs(48 * HOUR)));
        let late = format!("{}! Expires: 2 days\n", "! x\n".repeat(SEARCHED / 4));
        assert_eq!(of(late.as_bytes()), None);
    }

    #[test]
    fn spans_are_kept_between_the_shortest_and_the_longest() {
        for (text, expected) in [
            ("59 minutes", MIN),
            ("60 minutes", MIN),
            ("61 minutes", MIN + Duration::from_secs(60)),
            ("335 hours", MAX - Duration::from_secs(HOUR)),
            ("336 hours", MAX),
            ("337 hours", MAX),
        ] {
            assert_eq!(of(format!("! Expires: {text}").as_bytes()), Some(expected), "{text}");
        }
    }
}
