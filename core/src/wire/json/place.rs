//! Changes inside the frame, all of which shrink what they change.
//!
//! Each function takes a piece of the frame that was scanned before, and returns its front, which
//! holds the result.

use super::scan;
use crate::wire::WireError;

/// Replaces the escapes of a string, quotes not included, by what they stand for.
pub(super) fn unescape(text: &mut [u8]) -> Result<&mut [u8], WireError> {
    let Some(first) = crate::bytes::find(text, b'\\') else {
        return Ok(text);
    };
    let (mut read, mut write) = (first, first);
    while let Some(&byte) = text.get(read) {
        read = read.saturating_add(1);
        if byte == b'\\' {
            let escaped = text.get(read..).unwrap_or_default();
            let (c, rest) = scan::escape(escaped)?;
            read = text.len().saturating_sub(rest.len());
            write = put(text, write, c.encode_utf8(&mut [0; 4]).as_bytes())?;
        } else {
            write = put(text, write, &[byte])?;
        }
    }
    text.get_mut(..write).ok_or(WireError::Malformed)
}

/// Replaces pairs of hexadecimal digits by the bytes that they stand for.
pub(super) fn unhex(text: &mut [u8]) -> Result<&mut [u8], WireError> {
    let (mut read, mut write) = (0_usize, 0_usize);
    while let Some(&high) = text.get(read) {
        let low = read.saturating_add(1);
        let byte = text.get(low).and_then(|&low| hex_pair(high, low));
        write = put(text, write, &[byte.ok_or(WireError::Malformed)?])?;
        read = low.saturating_add(1);
    }
    text.get_mut(..write).ok_or(WireError::Malformed)
}

/// Replaces an array of strings by the strings, each with its length in a byte before it.
///
/// The array was scanned, so a closing bracket that stands for a string is that of an empty array.
/// There is room for the lengths: each string has a bracket or comma, and a quote, before it.
pub(super) fn lengthen(array: &mut [u8]) -> Result<&mut [u8], WireError> {
    let total = array.len();
    let at = |rest: &[u8]| total.saturating_sub(rest.len());
    let mut read = at(scan::token(array, b'[')?);
    let mut write = 0;
    loop {
        let rest = scan::space(array.get(read..).unwrap_or_default());
        if rest.first() == Some(&b']') {
            break;
        }
        let text = scan::token(rest, b'"')?;
        let rest = scan::string(text)?;
        let (start, behind) = (at(text), at(rest));
        let quoted = start..behind.saturating_sub(1);
        let len = unescape(array.get_mut(quoted).ok_or(WireError::Malformed)?)?.len();
        let len_byte = u8::try_from(len).map_err(|_| WireError::TooLong)?;
        write = put(array, write, &[len_byte])?;
        for from in (start..behind).take(len) {
            let byte = *array.get(from).ok_or(WireError::Malformed)?;
            write = put(array, write, &[byte])?;
        }
        let rest = array.get(behind..).unwrap_or_default();
        match scan::token(rest, b',') {
            Ok(rest) => read = at(rest),
            Err(_) => break,
        }
    }
    array.get_mut(..write).ok_or(WireError::Malformed)
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Writes `bytes` at `at`; returns where they end.
fn put(place: &mut [u8], at: usize, bytes: &[u8]) -> Result<usize, WireError> {
    let end = at.saturating_add(bytes.len());
    let target = place.get_mut(at..end).ok_or(WireError::Malformed)?;
    target.copy_from_slice(bytes);
    Ok(end)
}
