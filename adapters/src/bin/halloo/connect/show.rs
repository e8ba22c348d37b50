//! What came, for a person or for a program.

use std::io::{self, IsTerminal};

use crate::failure::Failure;
use crate::output::{Text, put};

/// Bytes in one line of hex.
const ROW: usize = 16;

/// Shows bytes on stdout.
#[derive(Debug)]
pub(super) struct Show {
    is_hex: bool,
    is_terminal: bool,
    text: Text,
}

impl Show {
    pub(super) fn new(is_hex: bool) -> Self {
        Self {
            is_hex,
            is_terminal: io::stdout().is_terminal(),
            text: Text::new(false),
        }
    }

    /// Shows that an empty datagram came, in hex as a line without digits; a program that reads the
    /// bytes gets none.
    pub(super) fn empty(&mut self) -> Result<(), Failure> {
        match (self.is_hex, self.is_terminal) {
            (_, true) => put(b"(an empty datagram)\n"),
            (true, false) => put(b"\n"),
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
            return put(rows.as_bytes());
        }
        if !self.is_terminal {
            return put(bytes);
        }
        let mut text = self.text.take(bytes);
        if is_message {
            text.push_str(&self.text.end());
        }
        put(text.as_bytes())
    }

    /// Leaves the terminal with its cursor at the beginning of a line.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        put(self.text.end().as_bytes())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_has_its_text_beside_it_for_a_person_alone() {
        assert_eq!(hex(b"Hi\n", false), "48 69 0a\n");
        let beside = hex(b"Hi\n", true);
        assert_eq!(beside, format!("48 69 0a{}  |Hi.|\n", " ".repeat(39)));
        assert_eq!(hex(&[0; 16], true).len(), 47 + 2 + 18 + 1);
    }
}
