//! Where JSON tokens end.
//!
//! Every function takes bytes that begin with a token and returns the bytes behind it. Knows the
//! grammar. Changes nothing, and does not look at UTF-8.

use heapless::Vec;

use crate::wire::WireError;

/// How deep arrays and objects may nest in a member's value.
pub const MAX_DEPTH: usize = 4;

type Rest<'a> = Result<&'a [u8], WireError>;

/// Passes over white space.
pub(super) fn space(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t' | b'\n' | b'\r', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

/// Passes over white space and then `token`.
pub(super) fn token(bytes: &[u8], token: u8) -> Rest<'_> {
    match space(bytes) {
        [] => Err(WireError::Truncated),
        [first, rest @ ..] if *first == token => Ok(rest),
        _ => Err(WireError::Malformed),
    }
}

/// Passes over one value of any kind, with white space before it.
pub(super) fn value(bytes: &[u8]) -> Rest<'_> {
    let mut closers = Vec::<u8, MAX_DEPTH>::new();
    let mut rest = bytes;
    loop {
        rest = space(rest);
        rest = match rest {
            [b'[', tail @ ..] => {
                closers.push(b']').map_err(|_| WireError::TooLong)?;
                let tail = space(tail);
                if tail.first() != Some(&b']') {
                    rest = tail;
                    continue;
                }
                tail
            }
            [b'{', tail @ ..] => {
                closers.push(b'}').map_err(|_| WireError::TooLong)?;
                let tail = space(tail);
                if tail.first() != Some(&b'}') {
                    rest = key(tail)?;
                    continue;
                }
                tail
            }
            [b'"', tail @ ..] => string(tail)?,
            [b'-' | b'0'..=b'9', ..] => number(rest)?,
            _ => literal(rest)?,
        };
        // A value is complete; it may complete those around it, and else a comma follows.
        loop {
            let Some(&closer) = closers.last() else {
                return Ok(rest);
            };
            match space(rest) {
                [] => return Err(WireError::Truncated),
                [first, tail @ ..] if *first == closer => {
                    closers.pop();
                    rest = tail;
                }
                [b',', tail @ ..] if closer == b'}' => {
                    rest = key(tail)?;
                    break;
                }
                [b',', tail @ ..] => {
                    rest = tail;
                    break;
                }
                _ => return Err(WireError::Malformed),
            }
        }
    }
}

/// Passes over the rest of a string, of which the opening quote was read.
pub(super) fn string(bytes: &[u8]) -> Rest<'_> {
    let mut rest = bytes;
    loop {
        let plain = crate::bytes::plain_json(rest);
        rest = match rest.get(plain..).unwrap_or_default() {
            [] => return Err(WireError::Truncated),
            [b'"', tail @ ..] => return Ok(tail),
            [b'\\', tail @ ..] => escape(tail)?.1,
            _ => return Err(WireError::Malformed),
        }
    }
}

/// The character that an escape stands for, of which the backslash was read.
pub(super) fn escape(bytes: &[u8]) -> Result<(char, &[u8]), WireError> {
    let (&letter, rest) = bytes.split_first().ok_or(WireError::Truncated)?;
    let c = match letter {
        b'"' | b'\\' | b'/' => char::from(letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode_escape(rest),
        _ => return Err(WireError::Malformed),
    };
    Ok((c, rest))
}

fn unicode_escape(bytes: &[u8]) -> Result<(char, &[u8]), WireError> {
    let (high, rest) = hex4(bytes)?;
    // `from_u32` refuses the surrogates, also a low one that comes first.
    if !(0xd800..0xdc00).contains(&high) {
        return Ok((char::from_u32(high).ok_or(WireError::Malformed)?, rest));
    }
    let rest = expect(expect(rest, b'\\')?, b'u')?;
    let (low, rest) = hex4(rest)?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(WireError::Malformed);
    }
    let code = 0x1_0000_u32.saturating_add((high & 0x3ff) << 10 | (low & 0x3ff));
    Ok((char::from_u32(code).ok_or(WireError::Malformed)?, rest))
}

fn hex4(bytes: &[u8]) -> Result<(u32, &[u8]), WireError> {
    let mut rest = bytes;
    let mut unit = 0;
    for _ in 0..4 {
        let (&digit, tail) = rest.split_first().ok_or(WireError::Truncated)?;
        let digit = char::from(digit).to_digit(16).ok_or(WireError::Malformed)?;
        unit = unit << 4 | digit;
        rest = tail;
    }
    Ok((unit, rest))
}

/// Passes over a key of an object and its colon.
fn key(bytes: &[u8]) -> Rest<'_> {
    token(string(token(bytes, b'"')?)?, b':')
}

fn number(bytes: &[u8]) -> Rest<'_> {
    let bytes = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let mut rest = match bytes {
        [b'0', rest @ ..] => rest,
        _ => digits(bytes)?,
    };
    if let [b'.', tail @ ..] = rest {
        rest = digits(tail)?;
    }
    if let [b'e' | b'E', tail @ ..] = rest {
        rest = match tail {
            [b'+' | b'-', tail @ ..] => digits(tail)?,
            _ => digits(tail)?,
        };
    }
    Ok(rest)
}

/// Passes over digits, one at least.
fn digits(bytes: &[u8]) -> Rest<'_> {
    let mut rest = match bytes {
        [] => return Err(WireError::Truncated),
        [b'0'..=b'9', rest @ ..] => rest,
        _ => return Err(WireError::Malformed),
    };
    while let [b'0'..=b'9', tail @ ..] = rest {
        rest = tail;
    }
    Ok(rest)
}

fn literal(bytes: &[u8]) -> Rest<'_> {
    let word: &[u8] = match bytes.first() {
        None => return Err(WireError::Truncated),
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        Some(_) => return Err(WireError::Malformed),
    };
    word.iter()
        .try_fold(bytes, |rest, &byte| expect(rest, byte))
}

/// Passes over `byte`, with no white space before it.
fn expect(bytes: &[u8], byte: u8) -> Rest<'_> {
    match bytes {
        [] => Err(WireError::Truncated),
        [first, rest @ ..] if *first == byte => Ok(rest),
        _ => Err(WireError::Malformed),
    }
}
