//! The serialised form.

use super::{Limits, RowParts, Stop};
use crate::varint::{self, VarintError};
use crate::{Mistake, RowKind};

/// Wire type of a field with a length and content.
const LENGTH_DELIMITED: u64 = 2;

/// Reads the first field of a database. Returns the bytes that it took, and whether it is a row.
pub(super) fn row(
    bytes: &[u8],
    kind: RowKind,
    limits: &Limits,
    row: &mut RowParts,
) -> Result<(usize, bool), Stop> {
    let mut used = 0;
    let (number, (start, end)) = field(bytes, &mut used, limits)?;
    if number != Some(1) {
        return Ok((used, false));
    }
    row.clear();
    let mut at = start;
    while at < end {
        let (number, content) =
            field(&bytes[..end], &mut at, limits).map_err(|stop| match stop {
                // The row is in the window as a whole, so its content is what is too short.
                Stop::Incomplete => Stop::Mistake(start, Mistake::FieldLongerThanRow),
                mistake => mistake,
            })?;
        match (number, kind) {
            (Some(1), RowKind::Keyword) => row.keyword.range = Some(content),
            (Some(2), RowKind::Keyword) | (Some(1), RowKind::Index) => {
                row.value.range = Some(content);
            }
            _ => {}
        }
    }
    if kind == RowKind::Keyword && row.keyword.range.is_none() {
        return Err(Stop::Mistake(start, Mistake::NoKeyword));
    }
    let checked = limits.check_keyword(row.keyword.len()).and(limits.check_value(row.value.len()));
    checked.map_err(|mistake| Stop::Mistake(start, mistake))?;
    Ok((used, true))
}

/// Reads one field: its number if it has content, and where the content stands.
#[inline]
fn field(
    bytes: &[u8],
    at: &mut usize,
    limits: &Limits,
) -> Result<(Option<u64>, (usize, usize)), Stop> {
    let start = *at;
    let tag = number(bytes, at)?;
    let length = match tag & 7 {
        0 => {
            number(bytes, at)?;
            0
        }
        1 => 8,
        5 => 4,
        LENGTH_DELIMITED => number(bytes, at)?,
        _ => return Err(Stop::Mistake(start, Mistake::UnknownWireType)),
    };
    if length > limits.max_row as u64 {
        return Err(Stop::Mistake(start, Mistake::RowTooLong { max: limits.max_row }));
    }
    let content = (*at, *at + length as usize);
    if content.1 > bytes.len() {
        return Err(Stop::Incomplete);
    }
    *at = content.1;
    Ok(((tag & 7 == LENGTH_DELIMITED).then_some(tag >> 3), content))
}

#[inline]
fn number(bytes: &[u8], at: &mut usize) -> Result<u64, Stop> {
    let start = *at;
    varint::read(bytes, at).map_err(|error| match error {
        VarintError::Incomplete => Stop::Incomplete,
        VarintError::TooLong => Stop::Mistake(start, Mistake::NumberTooLong),
    })
}
