//! What the parsers of configurations say of a value, in the words of their files.

/// Why a value of another kind is not taken, such as `a number is expected, not text`: what [`serde`] says, in the words of
/// JSON and TOML. What it quotes of the value stays out, since that may be a secret.
///
/// ```
/// use pir_dataset::configuration::value_reason;
/// let said = "invalid type: string \"AAAA\", expected u64";
/// assert_eq!(value_reason(said), "a number is expected, not text");
/// let said = "invalid value: integer `-1`, expected u32";
/// assert_eq!(value_reason(said), "a whole number from 0 to 4294967295 is expected");
/// ```
#[must_use]
pub fn value_reason(text: &str) -> String {
    // The last one: what comes before may quote the value, what comes after is of the program.
    let expected = text.rsplit_once(", expected ").map(|(_, expected)| expected);
    match (expected, text.strip_prefix("invalid type: ")) {
        // A number that is too large for the kind.
        (Some(expected), Some(found)) if is_integer(expected) && found.starts_with("integer") => {
            format!("{} is expected", expected_range(expected))
        }
        (Some(expected), Some(found)) => {
            format!("{} is expected, not {}", expected_kind(expected), found_kind(found))
        }
        (Some(expected), None) => format!("{} is expected", expected_range(expected)),
        // Texts of our own, such as `"reference", "cheapest" or two numbers are expected`.
        (None, _) if text.ends_with(" expected") => text.to_owned(),
        (None, _) => "a value of another kind is expected".to_owned(),
    }
}

fn is_integer(expected: &str) -> bool {
    matches!(expected, "u8" | "u16" | "u32" | "u64" | "usize")
}

fn expected_kind(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "path string" => "text",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

fn expected_range(expected: &str) -> String {
    let max = match expected {
        "u8" => u64::from(u8::MAX),
        "u16" => u64::from(u16::MAX),
        "u32" => u64::from(u32::MAX),
        "u64" => u64::MAX,
        "usize" => usize::MAX as u64,
        other => return expected_kind(other).to_owned(),
    };
    format!("a whole number from 0 to {max}")
}

fn found_kind(found: &str) -> &'static str {
    for (prefix, kind) in [
        ("string", "text"),
        ("integer", "a number"),
        ("floating point", "a number with a fraction"),
        ("boolean", "true or false"),
        ("null", "null"),
        ("unit value", "null"),
        ("sequence", "a list"),
        ("map", "an object"),
    ] {
        if found.starts_with(prefix) {
            return kind;
        }
    }
    "this"
}
