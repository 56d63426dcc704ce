//! Phone numbers in the form of E.164.

use std::fmt;
use std::str::FromStr;

/// Fewest digits of a number, country code included. *Ours*: E.164 has no minimum.
pub const MIN_DIGITS: usize = 3;
/// Most digits of a number, country code included (ITU-T E.164, section 6.2.1).
pub const MAX_DIGITS: usize = 15;

/// An international phone number: `+`, then a country code, which does not begin with 0, and the rest. It is displayed
/// as devices look it up, such as `+14085551212`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u64);

/// A text is no number that a device looks up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// It does not begin with `+`.
    #[error(
        "a number begins with + and the country code, such as +14085551212; national numbers are not looked up"
    )]
    NoPlus,
    /// The country code begins with 0.
    #[error("no country code begins with 0")]
    LeadingZero,
    /// It has the national prefix, which is not dialled from abroad, in parentheses.
    #[error("(0) is not part of an international number; leave it out")]
    NationalPrefix,
    /// It has something that is neither a digit nor a separator.
    #[error("{0:?} is not part of a number; expected digits, spaces and -.()/ after the +")]
    Character(char),
    /// It has too few or too many digits.
    #[error("{0} digits; expected {MIN_DIGITS} to {MAX_DIGITS}")]
    Length(usize),
}

impl Number {
    /// Reads a number. Spaces and the characters `-.()/` between digits are left out, as in `+1 (408) 555-1212`.
    ///
    /// # Errors
    /// [`NumberError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let rest = text.trim().strip_prefix('+').ok_or(NumberError::NoPlus)?;
        if rest.replace([' ', '\u{a0}'], "").contains("(0)") {
            return Err(NumberError::NationalPrefix);
        }
        let (mut value, mut count) = (0_u64, 0);
        for character in rest.chars() {
            if let Some(digit) = character.to_digit(10) {
                if count == 0 && digit == 0 {
                    return Err(NumberError::LeadingZero);
                }
                count += 1;
                // Longer ones are counted, and refused below.
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if !matches!(character, ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/') {
                return Err(NumberError::Character(character));
            }
        }
        match (MIN_DIGITS..=MAX_DIGITS).contains(&count) {
            true => Ok(Self(value)),
            false => Err(NumberError::Length(count)),
        }
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::parse(text)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn separators_are_left_out() {
        for text in
            ["+14085551212", "+1 (408) 555-1212", " +1.408.555.1212 ", "+1/408\u{a0}5551212"]
        {
            assert_eq!(Number::parse(text).unwrap().to_string(), "+14085551212", "{text}");
        }
    }

    #[test]
    fn what_is_no_international_number_is_refused() {
        for (text, error) in [
            ("4085551212", NumberError::NoPlus),
            ("0014085551212", NumberError::NoPlus),
            ("", NumberError::NoPlus),
            ("+044208", NumberError::LeadingZero),
            ("+44 (0)20 7946 0000", NumberError::NationalPrefix),
            ("+44 ( 0 ) 20 7946 0000", NumberError::NationalPrefix),
            ("+1408555CALL", NumberError::Character('C')),
            ("+14085551212 x12", NumberError::Character('x')),
            ("+1408\u{661}", NumberError::Character('\u{661}')),
            ("++14085551212", NumberError::Character('+')),
            ("+", NumberError::Length(0)),
        ] {
            assert_eq!(Number::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_number_of_digits_has_limits() {
        for count in [
            MIN_DIGITS - 1,
            MIN_DIGITS,
            MIN_DIGITS + 1,
            MAX_DIGITS - 1,
            MAX_DIGITS,
            MAX_DIGITS + 1,
            40,
        ] {
            let is_accepted = (MIN_DIGITS..=MAX_DIGITS).contains(&count);
            let parsed = Number::parse(&format!("+{}", "9".repeat(count)));
            assert_eq!(parsed.is_ok(), is_accepted, "{count}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_displayed_as_it_is_parsed(digits in "[1-9][0-9]{2,14}") {
            let text = format!("+{digits}");
            prop_assert_eq!(Number::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Number::parse(&text);
        }
    }
}
