//! `$GENERATE`, which stands for many records, as BIND reads it.

use std::fmt::Write;

/// The most records of one directive.
pub(in crate::list) const MAX_RECORDS: u64 = 65_536;

/// The longest name that is generated, in bytes. Longer names are no names of hosts.
const MAX_LENGTH: usize = 512;

/// The numbers of a directive: one at least, and as many as the list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    stop: u32,
    /// The distance of two numbers, 1 at least.
    step: u32,
}

impl Range {
    /// Reads `start-stop` or `start-stop/step`; none if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (bounds, step) = text.split_once('/').unwrap_or((text, "1"));
        let (start, stop) = bounds.split_once('-')?;
        let (start, stop) = (start.parse().ok()?, stop.parse().ok()?);
        let step = step.parse().ok().filter(|&step| step > 0)?;
        (start <= stop).then_some(Self { start, stop, step })
    }

    pub(super) fn count(self) -> u64 {
        u64::from((self.stop - self.start) / self.step) + 1
    }

    pub(super) fn first(self) -> u32 {
        self.start
    }

    pub(super) fn last(self) -> u32 {
        self.stop - (self.stop - self.start) % self.step
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        (self.start..=self.stop).step_by(self.step as usize)
    }
}

/// The text of a template for a number: `$` is the number, `${offset,width,base}` the sum with the offset, padded with
/// zeros, in the base `d`, `o`, `x` or `X`, or as nibbles `n` or `N`. `$$` and `\$` are a `$`. None if the template is
/// malformed or the text is too long.
pub(super) fn expand(template: &str, number: u32) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if let Some(before) = before.strip_suffix('\\') {
            text.push_str(before);
            text.push('$');
            rest = after;
            continue;
        }
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((modifiers, after)) =
            after.strip_prefix('{').map(|after| after.split_once('}')).unwrap_or_default()
        {
            write_number(&mut text, modifiers, number)?;
            rest = after;
        } else if after.starts_with('{') {
            return None;
        } else {
            write!(text, "{number}").ok()?;
            rest = after;
        }
        if text.len() > MAX_LENGTH {
            return None;
        }
    }
    text.push_str(rest);
    (text.len() <= MAX_LENGTH).then_some(text)
}

fn write_number(text: &mut String, modifiers: &str, number: u32) -> Option<()> {
    let mut parts = modifiers.split(',').map(str::trim);
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().map_or(Some(0), |width| width.parse().ok())?;
    let base = parts.next().unwrap_or("d");
    let value = u64::try_from(i64::from(number).checked_add(offset)?).ok()?;
    if parts.next().is_some() || width > MAX_LENGTH {
        return None;
    }
    match base {
        "d" => write!(text, "{value:0width$}"),
        "o" => write!(text, "{value:0width$o}"),
        "x" => write!(text, "{value:0width$x}"),
        "X" => write!(text, "{value:0width$X}"),
        "n" => write!(text, "{}", nibbles(&format!("{value:x}"), width)),
        "N" => write!(text, "{}", nibbles(&format!("{value:X}"), width)),
        _ => return None,
    }
    .ok()
}

/// The digits from the last to the first with dots between them, filled up with `0` to a width that counts the dots.
fn nibbles(digits: &str, width: usize) -> String {
    let mut text = String::new();
    for digit in digits.chars().rev() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push(digit);
    }
    while text.len() + 1 < width {
        text.push_str(".0");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for (template, number, expected) in [
            ("host$", 7, Some("host7")),
            ("$.a$", 7, Some("7.a7")),
            ("h${0,3}", 7, Some("h007")),
            ("h${10}", 7, Some("h17")),
            ("h${-7}", 7, Some("h0")),
            ("h${-8}", 7, None),
            ("h${0,2,x}", 255, Some("hff")),
            ("h${0,4,X}", 255, Some("h00FF")),
            ("h${0,0,o}", 8, Some("h10")),
            ("${0,0,n}", 0x1a2, Some("2.a.1")),
            ("${0,7,n}", 0x1a, Some("a.1.0.0")),
            ("a$$b\\$", 7, Some("a$b$")),
            ("a${0", 7, None),
            ("a${x}", 7, None),
            ("a${0,0,q}", 7, None),
            ("a${0,513}", 7, None),
            ("plain", 7, Some("plain")),
            ("", 7, Some("")),
        ] {
            assert_eq!(expand(template, number).as_deref(), expected, "{template}");
        }
        assert_eq!(expand(&"${0,400}".repeat(1_000), 1), None);
    }

    #[test]
    fn ranges_have_their_numbers() {
        let numbers = |text| Range::parse(text).map(|range| range.numbers().collect::<Vec<_>>());
        assert_eq!(numbers("1-3"), Some(vec![1, 2, 3]));
        assert_eq!(numbers("1-6/2"), Some(vec![1, 3, 5]));
        assert_eq!(numbers("4-4"), Some(vec![4]));
        for text in ["3-1", "1", "1-", "-1", "1-3/0", "a-b", "0-4294967296"] {
            assert_eq!(numbers(text), None, "{text}");
        }
        for (text, count, last) in [
            ("0-65535", 65_536, 65_535),
            ("0-4294967295/65536", 65_536, 4_294_901_760),
            ("0-4294967295", 1 << 32, u32::MAX),
            ("4294967295-4294967295", 1, u32::MAX),
        ] {
            let range = Range::parse(text).unwrap();
            assert_eq!((range.count(), range.last()), (count, last), "{text}");
        }
    }

    #[test]
    fn generated_names_are_bounded() {
        for length in [MAX_LENGTH - 1, MAX_LENGTH, MAX_LENGTH + 1] {
            let expected = (length <= MAX_LENGTH).then_some(length);
            for template in [
                format!("${}", "a".repeat(length - 1)),
                "a".repeat(length),
                format!("${{0,{length}}}"),
                format!("${{0,{length},n}}"),
            ] {
                // Nibbles fill up to an odd number of characters.
                let found = expand(&template, 1).map(|text| text.len());
                let is_nibbles = template.ends_with("n}");
                assert_eq!(
                    found,
                    expected.map(|length| length - usize::from(is_nibbles && length % 2 == 0))
                );
            }
        }
    }
}
