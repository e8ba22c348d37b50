//! What came, for a person or for a program.

use std::io::{self, IsTerminal, Write as _};
use std::str;

use crate::failure::Failure;
use crate::output::harmless;

/// Bytes in one line of hex.
const ROW: usize = 16;

/// Shows bytes on stdout.
#[derive(Debug)]
pub(super) struct Show {
    is_hex: bool,
    is_terminal: bool,
    /// The beginning of a character whose rest has not come.
    part: Vec<u8>,
    /// Whether the cursor stands behind text.
    is_inside_line: bool,
}

impl Show {
    pub(super) fn new(is_hex: bool) -> Self {
        Self {
            is_hex,
            is_terminal: io::stdout().is_terminal(),
            part: Vec::new(),
            is_inside_line: false,
        }
    }

    /// Shows that an empty datagram came, in hex as a line without digits; a program that reads the
    /// bytes gets none.
    pub(super) fn empty(&mut self) -> Result<(), Failure> {
        match (self.is_hex, self.is_terminal) {
            (_, true) => print(b"(an empty datagram)\n"),
            (true, false) => print(b"\n"),
            (false, false) => Ok(()),
        }
    }

    /// Shows a piece of a stream, or a whole message.
    pub(super) fn bytes(&mut self, bytes: &[u8], is_message: bool) -> Result<(), Failure> {
        if self.is_hex {
            let rows: String = bytes
                .chunks(ROW)
                .map(|row| hex(row, self.is_terminal))
                .collect();
            return print(rows.as_bytes());
        }
        if !self.is_terminal {
            return print(bytes);
        }
        self.part.extend_from_slice(bytes);
        let whole = if is_message {
            self.part.len()
        } else {
            whole(&self.part)
        };
        let mut text = readable(&self.part[..whole]);
        self.part.drain(..whole);
        if is_message && !text.ends_with('\n') {
            text.push('\n');
        }
        if !text.is_empty() {
            self.is_inside_line = !text.ends_with('\n');
        }
        print(text.as_bytes())
    }

    /// Leaves the terminal with its cursor at the beginning of a line.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if self.part.is_empty() && !self.is_inside_line {
            return Ok(());
        }
        self.is_inside_line = false;
        let text = readable(&std::mem::take(&mut self.part));
        print(format!("{text}\n").as_bytes())
    }
}

/// How many bytes are whole characters, or will never be.
fn whole(bytes: &[u8]) -> usize {
    // A character has at most four bytes.
    let start = bytes.len().saturating_sub(3);
    let cut = (start..bytes.len()).find(|&at| {
        let is_first = bytes[at] >= 0xc0;
        is_first
            && str::from_utf8(&bytes[at..])
                .is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    });
    cut.unwrap_or(bytes.len())
}

/// Newlines stay, and all else that could steer the terminal is escaped.
fn readable(bytes: &[u8]) -> String {
    let lines: Vec<_> = bytes.split(|&b| b == b'\n').map(harmless).collect();
    lines.join("\n")
}

/// One line of hex; with the text beside it for a person.
fn hex(row: &[u8], with_text: bool) -> String {
    let pairs: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
    let pairs = pairs.join(" ");
    if !with_text {
        return pairs + "\n";
    }
    let visible = |&byte: &u8| {
        if matches!(byte, b' '..=b'~') {
            char::from(byte)
        } else {
            '.'
        }
    };
    let text: String = row.iter().map(visible).collect();
    format!("{pairs:<47}  |{text}|\n")
}

fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|e| Failure::from_stdio(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_cut_waits_for_its_rest_and_what_is_none_does_not() {
        for text in ["grüße", "世界", "🙂x"] {
            let bytes = text.as_bytes();
            for cut in 0..=bytes.len() {
                let first = whole(&bytes[..cut]);
                assert!(text.is_char_boundary(first), "{text} cut at {cut}");
                assert!(cut - first < 4);
            }
            assert_eq!(whole(bytes), bytes.len());
        }
        assert_eq!(whole(b"\xff\xff"), 2);
        assert_eq!(whole(b"a\x80\x80\x80"), 4);
        assert_eq!(whole(b"\xe4x"), 2);
    }

    #[test]
    fn hex_has_its_text_beside_it_for_a_person_alone() {
        assert_eq!(hex(b"Hi\n", false), "48 69 0a\n");
        let beside = hex(b"Hi\n", true);
        assert_eq!(beside, format!("48 69 0a{}  |Hi.|\n", " ".repeat(39)));
        assert_eq!(hex(&[0; 16], true).len(), 47 + 2 + 18 + 1);
    }

    #[test]
    fn newlines_stay_and_what_steers_a_terminal_does_not() {
        assert_eq!(readable(b"one\r\n\x1b[2J\ntwo"), "one\\r\n\\u{1b}[2J\ntwo");
    }
}
