//! A small chart of bars as inline SVG, without scripts.

use super::page::Escaped;
use std::fmt::Write;

/// Height of a chart, and the width of a bar with its gap, in units of the drawing.
const HEIGHT: u64 = 40;
const STEP: usize = 4;

/// A chart with a bar for each value, oldest first. `unit` follows numbers in its caption.
pub(super) fn bars(out: &mut String, title: &str, unit: &str, values: &[u64]) {
    let max = values.iter().copied().max().unwrap_or(0);
    let last = values.last().copied().unwrap_or(0);
    let caption = format!("{title}: now {last}{unit}, most {max}{unit}");
    let width = values.len() * STEP;
    let _ = write!(
        out,
        "<figure><figcaption>{0}</figcaption><svg viewBox=\"0 0 {width} {HEIGHT}\" \
         preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{0}\"><path d=\"",
        Escaped(&caption)
    );
    for (number, &value) in values.iter().enumerate().filter(|&(_, &value)| value > 0) {
        // A value above 0 is always seen.
        let height = (u128::from(value) * u128::from(HEIGHT)).div_ceil(u128::from(max));
        let _ = write!(out, "M{} {HEIGHT}v-{height}h{}v{height}z", number * STEP, STEP - 1);
    }
    out.push_str("\"/></svg></figure>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_seen() {
        let mut out = String::new();
        bars(&mut out, "<q>", " ms", &[0, 1, 500, 1000]);
        assert!(out.contains("&lt;q&gt;: now 1000 ms, most 1000 ms"), "{out}");
        assert!(out.contains("d=\"M4 40v-1h3v1zM8 40v-20h3v20zM12 40v-40h3v40z\""), "{out}");
    }

    #[test]
    fn nothing_and_the_largest_numbers_can_be_drawn() {
        for values in [&[][..], &[0, 0], &[u64::MAX, 1]] {
            let mut out = String::new();
            bars(&mut out, "queries", "", values);
            assert!(out.ends_with("</figure>\n") && !out.contains("NaN"), "{out}");
        }
    }
}
