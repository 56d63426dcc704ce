//! The processed database of the reference's tool: one byte 1, the number of plaintexts as a u32,
//! and for each plaintext a byte 0, or a byte 1 and its packed rows. Nothing in it says what it
//! belongs to.

use crate::error::DatabaseError;
use crate::parameters::ShardParameters;
use crate::payload::Payloads;
use crate::scheme::{Scheme, any_word};
use bfv::{Context, Evaluation, Poly, Word};
use std::io::{BufReader, Read, Write};

const VERSION: u8 = 1;

fn field<const N: usize>(
    input: &mut impl Read,
    what: &'static str,
) -> Result<[u8; N], DatabaseError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| short(error, what, N))?;
    Ok(bytes)
}

fn short(error: std::io::Error, what: &'static str, expected: usize) -> DatabaseError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            DatabaseError::Length { what, expected: expected as u64, found: 0 }
        }
        _ => error.into(),
    }
}

/// Reads all plaintexts, ready for products.
pub(super) fn read<W: Word>(
    context: &Context<W>,
    parameters: &ShardParameters,
    input: impl Read,
) -> Result<Vec<Option<Poly<W, Evaluation>>>, DatabaseError> {
    let mut input = BufReader::with_capacity(1 << 17, input);
    let [version] = field(&mut input, "version")?;
    if version != VERSION {
        return Err(DatabaseError::Magic);
    }
    let found = u64::from(u32::from_le_bytes(field(&mut input, "number of plaintexts")?));
    let expected = parameters.plaintexts() as u64;
    if found != expected {
        return Err(DatabaseError::Plaintexts { expected, found });
    }
    let mut packed = vec![0; context.evaluation_plaintext_length()];
    let mut rows = Vec::new();
    for plaintext in 0..parameters.plaintexts() {
        rows.push(match field(&mut input, "plaintext")? {
            [0] => None,
            [1] => {
                let length = packed.len();
                input.read_exact(&mut packed).map_err(|error| short(error, "plaintext", length))?;
                let lifted = context.read_evaluation_plaintext(&packed)?;
                Some(context.matrix_rows(lifted.into_poly()))
            }
            [tag] => return Err(DatabaseError::Tag { plaintext, tag }),
        });
    }
    let left = std::io::copy(&mut input, &mut std::io::sink())?;
    if left != 0 {
        return Err(DatabaseError::Length {
            what: "what follows the last plaintext",
            expected: 0,
            found: left,
        });
    }
    Ok(rows)
}

/// Writes a file that the reference's service reads.
///
/// # Errors
/// [`DatabaseError::Io`] if the output fails.
pub fn write_apple(
    scheme: &Scheme,
    payloads: &Payloads,
    out: &mut impl Write,
) -> Result<(), DatabaseError> {
    out.write_all(&[VERSION])?;
    out.write_all(&(payloads.plaintexts().len() as u32).to_le_bytes())?;
    any_word!(&scheme.0, tables => {
        let context = &tables.context;
        for payload in payloads.plaintexts() {
            let Some(payload) = payload else {
                out.write_all(&[0])?;
                continue;
            };
            out.write_all(&[1])?;
            let plaintext = context.encode_bytes(payload)?;
            let lifted = context.lift_plaintext(&plaintext, context.ciphertext_moduli())?;
            out.write_all(&context.write_evaluation_plaintext(&lifted))?;
        }
        Ok(())
    })
}
