//! The members of one object, and what a field takes from them.
//!
//! Knows how a field's type stands in JSON. Does not know which message has which fields.

use core::mem;

use heapless::Vec;

use super::{place, scan};
use crate::wire::{ByeReason, Code, GapReason, Names, NoticeKind, WireError};

/// The most members of one object.
pub const MAX_MEMBERS: usize = 32;

/// The members of one object, in the order in which they came, no key twice.
pub(super) struct Members<'a>(Vec<Member<'a>, MAX_MEMBERS>);

struct Member<'a> {
    key: &'a [u8],
    value: Value<'a>,
}

/// What a member has, cut out of the frame.
#[derive(Default)]
pub(super) enum Value<'a> {
    /// A number as it is written.
    Number(&'a [u8]),
    /// A string, unescaped, so valid UTF-8.
    Text(&'a mut [u8]),
    /// An array as it is written, brackets included.
    Array(&'a mut [u8]),
    /// An object or a literal, which no field has.
    Other,
    /// Nothing: a field has it now, or it never was.
    #[default]
    Taken,
}

/// A field's type.
pub(super) trait Field<'a>: Sized {
    /// The field that `value` stands for.
    fn from_value(value: Value<'a>) -> Result<Self, WireError>;
}

impl<'a> Members<'a> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Cuts `frame`, which holds one object and nothing else, into its members.
    ///
    /// Not a constructor: what it fills is too large to be handed on.
    pub(super) fn read(&mut self, frame: &'a mut [u8]) -> Result<(), WireError> {
        core::str::from_utf8(frame).map_err(|error| match error.error_len() {
            Some(_) => WireError::Malformed,
            None => WireError::Truncated,
        })?;
        let mut cutter = Cutter { rest: frame };
        cutter.token(b'{')?;
        if !cutter.accept(b'}') {
            loop {
                cutter.token(b'"')?;
                let key = cutter.string()?;
                cutter.token(b':')?;
                let value = cutter.value()?;
                self.push(Member { key, value })?;
                if cutter.accept(b'}') {
                    break;
                }
                cutter.token(b',')?;
            }
        }
        if scan::space(cutter.rest).is_empty() {
            Ok(())
        } else {
            Err(WireError::Malformed)
        }
    }

    /// The field `key`, which has to be there.
    pub(super) fn need<T: Field<'a>>(&mut self, key: &str) -> Result<T, WireError> {
        self.take(key)?.ok_or(WireError::Malformed)
    }

    /// The field `key`, or `default` if it is absent.
    pub(super) fn or<T: Field<'a>>(&mut self, key: &str, default: T) -> Result<T, WireError> {
        Ok(self.take(key)?.unwrap_or(default))
    }

    /// The field `key`, if it is there.
    pub(super) fn take<T: Field<'a>>(&mut self, key: &str) -> Result<Option<T>, WireError> {
        match self.value(key.as_bytes()) {
            Value::Taken => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }

    /// How many members no field took.
    pub(super) fn left(&self) -> u8 {
        let left = self.0.iter().filter(|it| !matches!(it.value, Value::Taken));
        u8::try_from(left.count()).unwrap_or(u8::MAX)
    }

    // One body for all types of fields.
    #[inline(never)]
    fn value(&mut self, key: &[u8]) -> Value<'a> {
        let member = self.0.iter_mut().find(|it| it.key == key);
        member.map_or(Value::Taken, |it| mem::take(&mut it.value))
    }

    fn push(&mut self, member: Member<'a>) -> Result<(), WireError> {
        if self.0.iter().any(|it| it.key == member.key) {
            return Err(WireError::Malformed);
        }
        self.0.push(member).map_err(|_| WireError::TooLong)
    }
}

/// Cuts pieces off the front of the frame.
struct Cutter<'a> {
    rest: &'a mut [u8],
}

impl<'a> Cutter<'a> {
    fn token(&mut self, token: u8) -> Result<(), WireError> {
        let left = scan::token(self.rest, token)?.len();
        self.cut(left).map(|_| ())
    }

    fn accept(&mut self, token: u8) -> bool {
        self.token(token).is_ok()
    }

    /// A string whose opening quote was cut off.
    fn string(&mut self) -> Result<&'a mut [u8], WireError> {
        let left = scan::string(self.rest)?.len();
        let quoted = self.cut(left.saturating_add(1))?;
        self.token(b'"')?;
        place::unescape(quoted)
    }

    fn value(&mut self) -> Result<Value<'a>, WireError> {
        let space = scan::space(self.rest).len();
        self.cut(space)?;
        if self.rest.first() == Some(&b'"') {
            self.token(b'"')?;
            return self.string().map(Value::Text);
        }
        let left = scan::value(self.rest)?.len();
        let piece = self.cut(left)?;
        Ok(match piece.first() {
            Some(b'-' | b'0'..=b'9') => Value::Number(piece),
            Some(b'[') => Value::Array(piece),
            _ => Value::Other,
        })
    }

    /// The front of what is left, such that `left` bytes stay.
    fn cut(&mut self, left: usize) -> Result<&'a mut [u8], WireError> {
        let rest = mem::take(&mut self.rest);
        let at = rest.len().saturating_sub(left);
        let (front, rest) = rest.split_at_mut_checked(at).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(front)
    }
}

/// Implements [`Field`] by a function of the value.
macro_rules! fields {
    ($($type:ty = $from:expr;)+) => {
        $(impl<'a> Field<'a> for $type {
            fn from_value(value: Value<'a>) -> Result<Self, WireError> {
                $from(value)
            }
        })+
    };
}

fields! {
    u8 = number;
    u16 = number;
    u32 = number;
    u64 = wide_number;
    [u8; 16] = id;
    &'a [u8] = text;
    Hex<'a> = hex;
    Cursor = cursor;
    Names<'a> = names;
    Code = |value| number(value).map(Code::from_wire);
    ByeReason = |value| number(value).map(ByeReason::from_wire);
    GapReason = |value| number(value).map(GapReason::from_wire);
    NoticeKind = |value| number(value).map(NoticeKind::from_wire);
}

/// Bytes that stand as hexadecimal digits.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

/// A cursor, which can be `"latest"`.
pub(super) struct Cursor(pub(super) u64);

fn number<T: TryFrom<u64>>(value: Value<'_>) -> Result<T, WireError> {
    let number = match value {
        Value::Number(digits) => decimal(digits),
        _ => None,
    };
    number
        .and_then(|number| T::try_from(number).ok())
        .ok_or(WireError::Malformed)
}

fn wide_number(value: Value<'_>) -> Result<u64, WireError> {
    match value {
        Value::Number(digits) => decimal(digits),
        Value::Text(digits) => decimal(digits),
        _ => None,
    }
    .ok_or(WireError::Malformed)
}

fn cursor(value: Value<'_>) -> Result<Cursor, WireError> {
    match value {
        Value::Text(text) if *text == *b"latest" => Ok(Cursor(crate::wire::Join::LATEST)),
        value => wide_number(value).map(Cursor),
    }
}

/// The number that decimal digits without leading zeros stand for.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with(b"0")) {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &byte| {
        let digit = char::from(byte).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn text(value: Value<'_>) -> Result<&[u8], WireError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(WireError::Malformed),
    }
}

fn hex(value: Value<'_>) -> Result<Hex<'_>, WireError> {
    match value {
        Value::Text(text) => Ok(Hex(place::unhex(text)?)),
        _ => Err(WireError::Malformed),
    }
}

fn id(value: Value<'_>) -> Result<[u8; 16], WireError> {
    let Hex(bytes) = hex(value)?;
    bytes.try_into().map_err(|_| WireError::Malformed)
}

fn names(value: Value<'_>) -> Result<Names<'_>, WireError> {
    match value {
        Value::Array(array) => Names::new(place::lengthen(array)?).ok_or(WireError::Malformed),
        _ => Err(WireError::Malformed),
    }
}
