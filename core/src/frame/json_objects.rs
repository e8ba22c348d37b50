//! One JSON object after another, with white space or nothing between them.

use super::{FrameError, Framing, Scan};

/// Frames that are JSON objects, from the opening brace to the one that closes it.
///
/// Counts braces outside strings and minds escapes in strings; whether the object is valid beyond
/// that is for the decoder of messages. Nesting costs a counter. White space between objects is
/// skipped. What else there is:
///
/// - Other bytes between objects are [`FrameError::Malformed`], once; they are skipped up to and
///   with the next LF, or up to the next `{`, whichever comes first. Where they begin with arrays or
///   strings, a `{` inside of these opens no object.
/// - An LF inside a string is in no JSON. The object is `Malformed`, and skipped up to and with the
///   next LF behind that one, or up to the next `{`, whichever comes first: a string that was never
///   closed does not swallow the objects behind it.
/// - An object above the limit is [`FrameError::Oversize`] once `limit` bytes of it are there and
///   its end is not; it is skipped up to the brace that closes it, or as above from an LF inside a
///   string on, whichever comes first.
///
/// Sealing appends LF and refuses a payload that is not exactly one object by the same count.
///
/// ```
/// use halloo_core::frame::{Framing, JsonObjects, Scan};
/// let mut framing = JsonObjects::new(80);
/// assert_eq!(framing.scan(br#"{"a":"}""#), Ok(Scan::More));
/// let input = br#"{"a":"}"}{"b":2}"#;
/// assert_eq!(framing.scan(input), Ok(Scan::Frame { start: 0, end: 9, consumed: 9 }));
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct JsonObjects {
    limit: usize,
    state: State,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum State {
    Between,
    /// The first `seen` bytes of the object brought the cursor to where it is.
    InObject {
        seen: usize,
        cursor: Cursor,
    },
    /// Of an object above the limit; the first `seen` bytes have moved the cursor already.
    Skipping {
        seen: usize,
        cursor: Cursor,
    },
    /// In what was told as malformed, up to LF or `{`.
    InJunk,
    /// In what was told as malformed, and is arrays and strings so far: `depth` counts brackets.
    InValues {
        cursor: Cursor,
    },
    /// The first `count` bytes were told as malformed.
    Dropping {
        count: usize,
    },
}

impl JsonObjects {
    /// A framing of objects up to `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Between,
        }
    }

    fn between(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match input.iter().position(|&byte| !is_space(byte)) {
            None if input.is_empty() => Ok(Scan::More),
            None => Ok(Scan::Skip {
                consumed: input.len(),
            }),
            Some(0) if input.first() == Some(&b'{') => self.object(input, 0, Cursor::new()),
            Some(0) => {
                self.state = match input.first() {
                    Some(b'[' | b'"') => State::InValues {
                        cursor: Cursor::new(),
                    },
                    _ => State::InJunk,
                };
                Err(FrameError::Malformed)
            }
            Some(at) => Ok(Scan::Skip { consumed: at }),
        }
    }

    fn object(
        &mut self,
        input: &[u8],
        seen: usize,
        mut cursor: Cursor,
    ) -> Result<Scan, FrameError> {
        let within = input.get(..self.limit).unwrap_or(input);
        match cursor.advance(within, seen) {
            Stop::Closed { end } => {
                self.state = State::Between;
                Ok(Scan::Frame {
                    start: 0,
                    end,
                    consumed: end,
                })
            }
            Stop::Broken { end } => {
                self.state = State::Dropping { count: end };
                Err(FrameError::Malformed)
            }
            Stop::Open if within.len() == self.limit => {
                let seen = within.len();
                self.state = State::Skipping { seen, cursor };
                Err(FrameError::Oversize { limit: self.limit })
            }
            Stop::Open => {
                let seen = within.len();
                self.state = State::InObject { seen, cursor };
                Ok(Scan::More)
            }
        }
    }

    fn skip(&mut self, input: &[u8], seen: usize, mut cursor: Cursor) -> Scan {
        let consumed = match cursor.advance(input, seen) {
            Stop::Closed { end } => {
                self.state = State::Between;
                end
            }
            Stop::Broken { end } => {
                self.state = State::InJunk;
                end
            }
            Stop::Open if input.is_empty() => return Scan::More,
            Stop::Open => {
                self.state = State::Skipping { seen: 0, cursor };
                input.len()
            }
        };
        Scan::Skip { consumed }
    }

    fn values(&mut self, input: &[u8], mut cursor: Cursor) -> Result<Scan, FrameError> {
        if input.is_empty() {
            return Ok(Scan::More);
        }
        let stop = input.iter().position(|&byte| !cursor.passes(byte));
        let Some(at) = stop else {
            self.state = State::InValues { cursor };
            return Ok(Scan::Skip {
                consumed: input.len(),
            });
        };
        self.state = State::InJunk;
        if at == 0 {
            return self.junk(input);
        }
        Ok(Scan::Skip { consumed: at })
    }

    fn junk(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        let stop = input.iter().position(|&byte| matches!(byte, b'\n' | b'{'));
        match stop.map(|at| (at, input.get(at))) {
            None if input.is_empty() => Ok(Scan::More),
            None => Ok(Scan::Skip {
                consumed: input.len(),
            }),
            Some((0, Some(b'{'))) => self.object(input, 0, Cursor::new()),
            Some((at, Some(b'{'))) => {
                self.state = State::Between;
                Ok(Scan::Skip { consumed: at })
            }
            Some((at, _)) => {
                self.state = State::Between;
                Ok(Scan::Skip {
                    consumed: at.saturating_add(1),
                })
            }
        }
    }
}

impl Framing for JsonObjects {
    const HEADER: usize = 0;
    const OVERHEAD: usize = 1;

    fn scan(&mut self, input: &[u8]) -> Result<Scan, FrameError> {
        match self.state {
            State::Between => self.between(input),
            State::InObject { seen, cursor } => self.object(input, seen, cursor),
            State::Skipping { seen, cursor } => Ok(self.skip(input, seen, cursor)),
            State::InJunk => self.junk(input),
            State::InValues { cursor } => self.values(input, cursor),
            State::Dropping { .. } if input.is_empty() => Ok(Scan::More),
            State::Dropping { count } => {
                // What is left of the object is junk, and was told.
                self.state = State::InJunk;
                Ok(Scan::Skip {
                    consumed: count.min(input.len()),
                })
            }
        }
    }

    fn end(&self, rest: &[u8]) -> Result<(), FrameError> {
        match self.state {
            State::Between if !rest.iter().all(|&byte| is_space(byte)) => {
                Err(FrameError::Truncated)
            }
            State::InValues { cursor } if !cursor.is_free() => Err(FrameError::Truncated),
            State::Between | State::InJunk | State::InValues { .. } | State::Dropping { .. } => {
                Ok(())
            }
            State::InObject { .. } | State::Skipping { .. } => Err(FrameError::Truncated),
        }
    }

    fn seal(&self, buf: &mut [u8], len: usize) -> Result<usize, FrameError> {
        let payload = buf.get(..len).ok_or(FrameError::Unframeable)?;
        let opens = payload.first() == Some(&b'{');
        let whole = Cursor::new().advance(payload, 0) == Stop::Closed { end: len };
        if len > self.limit || !opens || !whole {
            return Err(FrameError::Unframeable);
        }
        *buf.get_mut(len).ok_or(FrameError::Unframeable)? = b'\n';
        Ok(len.saturating_add(1))
    }

    fn limit(&self) -> usize {
        self.limit
    }

    fn lower_limit(&mut self, most: usize) {
        self.limit = self.limit.min(most);
    }
}

/// Where in an object the scan stands.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Cursor {
    depth: u32,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Place {
    Outside,
    InString,
    Escaped,
}

/// Why a cursor stopped; `end` counts from the front of the bytes that it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// It has seen all bytes.
    Open,
    /// The object ends here.
    Closed { end: usize },
    /// After an LF inside a string.
    Broken { end: usize },
}

impl Cursor {
    const fn new() -> Self {
        Self {
            depth: 0,
            place: Place::Outside,
        }
    }

    /// Whether it stands in no array and no string.
    const fn is_free(self) -> bool {
        matches!((self.depth, self.place), (0, Place::Outside))
    }

    /// Moves over a byte of arrays and strings; not over an LF, nor over what is outside of them.
    const fn passes(&mut self, byte: u8) -> bool {
        match (self.place, byte) {
            (_, b'\n') => return false,
            (Place::Outside, b'"') => self.place = Place::InString,
            (Place::Outside, b'[') => self.depth = self.depth.saturating_add(1),
            (Place::Outside, b']') if self.depth > 0 => {
                self.depth = self.depth.saturating_sub(1);
            }
            (Place::Outside, _) => return self.depth > 0 || is_space(byte),
            (Place::InString, b'"') => self.place = Place::Outside,
            (Place::InString, b'\\') => self.place = Place::Escaped,
            (Place::InString, _) => {}
            (Place::Escaped, _) => self.place = Place::InString,
        }
        true
    }

    /// Moves over `bytes`, of which the first `seen` have moved it before.
    fn advance(&mut self, bytes: &[u8], seen: usize) -> Stop {
        let mut at = seen;
        loop {
            if let Place::InString = self.place {
                let rest = bytes.get(at..).unwrap_or_default();
                at = at.saturating_add(crate::bytes::plain_json(rest));
            }
            let Some(&byte) = bytes.get(at) else {
                return Stop::Open;
            };
            at = at.saturating_add(1);
            match (self.place, byte) {
                (Place::Outside, b'"') => self.place = Place::InString,
                (Place::Outside, b'{') => self.depth = self.depth.saturating_add(1),
                (Place::Outside, b'}') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Stop::Closed { end: at };
                    }
                }
                (Place::Outside, _) => {}
                (Place::InString | Place::Escaped, b'\n') => return Stop::Broken { end: at },
                (Place::InString, b'"') => self.place = Place::Outside,
                (Place::InString, b'\\') => self.place = Place::Escaped,
                (Place::InString, _) => {}
                (Place::Escaped, _) => self.place = Place::InString,
            }
        }
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests;
