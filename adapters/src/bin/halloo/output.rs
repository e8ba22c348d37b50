//! What is printed: safe for a terminal, and no panic when nobody reads.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use super::failure::Failure;

/// Prints a line on stdout at once.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(|e| Failure::from_stdio(&e))
}

/// Prints a line on stderr; there is nobody to tell if that fails.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text from elsewhere with everything escaped that could steer a terminal or mislead the reader:
/// control, bidirectional and zero-width characters.
pub(crate) fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let misleads = matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}');
        if c.is_control() || misleads {
            // Writing to a string cannot fail.
            let _ = write!(safe, "{}", c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped_and_the_rest_stays() {
        assert_eq!(harmless("grüße, 世界 \\".as_bytes()), "grüße, 世界 \\");
        assert_eq!(harmless(b"\x1b[2Jgone\r\n\t"), "\\u{1b}[2Jgone\\r\\n\\t");
        assert_eq!(harmless("\u{9b}1m".as_bytes()), "\\u{9b}1m");
        assert_eq!(harmless("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(harmless(b"\xff"), "\u{fffd}");
    }
}
