//! What is printed: safe for a terminal, and no panic when nobody reads.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use super::failure::Failure;

/// Takes lines for a terminal on which something is being typed.
type Printer = Box<dyn FnMut(&str) + Send>;

/// Where the log goes instead of stderr.
static LOG_TO: Mutex<Option<Printer>> = Mutex::new(None);

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

/// Whether the user has nothing against colours (no-color.org).
pub(crate) fn allows_colour() -> bool {
    env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
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

/// `1 post`, `2 posts`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Sends the log through `printer` from now on, and to stderr again on `None`.
pub(crate) fn log_to(printer: Option<Printer>) {
    *LOG_TO.lock().unwrap_or_else(PoisonError::into_inner) = printer;
}

/// Where the log goes; each write is a whole entry.
#[derive(Debug, Default)]
pub(crate) struct Log;

impl io::Write for Log {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let mut printer = LOG_TO.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *printer {
            Some(print) => print(&String::from_utf8_lossy(entry)),
            None => io::stderr().write_all(entry)?,
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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
