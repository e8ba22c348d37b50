//! What is printed: safe for a terminal, and no panic when nobody reads.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, PoisonError};

use clap::ColorChoice;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::failure::Failure;

/// Takes lines for a terminal on which something is being typed.
type Printer = Box<dyn FnMut(&str) + Send>;

/// Where the log goes instead of stderr.
static LOG_TO: Mutex<Option<Printer>> = Mutex::new(None);

/// Prints a line on stdout at once.
pub(crate) fn say(line: &str) -> Result<(), Failure> {
    put(format!("{line}\n").as_bytes())
}

/// Writes all of these bytes to stdout at once, and waits where somebody has set that not to block.
pub(crate) fn put(mut bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let failed = |e: io::Error| Failure::from_stdio(&e);
    out.flush().map_err(failed)?;
    while !bytes.is_empty() {
        match rustix::io::write(&out, bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let mut fds = [PollFd::new(&out, PollFlags::OUT)];
                match poll(&mut fds, None) {
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(failed(error.into())),
                }
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
    Ok(())
}

/// Prints a line on stderr; there is nobody to tell if that fails.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether `out` is a terminal with colours, and the user has nothing against them (no-color.org).
pub(crate) fn is_coloured(out: &impl IsTerminal) -> bool {
    out.is_terminal()
        && env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
        && env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// [`is_coloured`] for the help text. By itself, clap would colour it in a pipe, or for a dumb
/// terminal, where the environment says `CLICOLOR_FORCE` or `CI`.
pub(crate) fn help_colour() -> ColorChoice {
    if is_coloured(&io::stdout()) {
        ColorChoice::Always
    } else {
        ColorChoice::Never
    }
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

/// A text that comes in pieces, for a terminal: newlines stay, and the rest is [`harmless`].
#[derive(Debug)]
pub(crate) struct Text {
    /// A carriage return before a newline is passed over.
    takes_crlf: bool,
    /// What cannot be shown before its rest has come.
    part: Vec<u8>,
    /// Whether the cursor stands behind text.
    is_inside_line: bool,
}

impl Text {
    pub(crate) const fn new(takes_crlf: bool) -> Self {
        Self {
            takes_crlf,
            part: Vec::new(),
            is_inside_line: false,
        }
    }

    /// What can be shown after another piece.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> String {
        self.part.extend_from_slice(bytes);
        let whole = if self.takes_crlf && self.part.ends_with(b"\r") {
            self.part.len() - 1
        } else {
            whole(&self.part)
        };
        let bytes: Vec<u8> = self.part.drain(..whole).collect();
        self.readable(&bytes)
    }

    /// What is left at the end, with the cursor at the beginning of a line after it.
    pub(crate) fn end(&mut self) -> String {
        let bytes = std::mem::take(&mut self.part);
        let mut text = self.readable(&bytes);
        if self.is_inside_line {
            self.is_inside_line = false;
            text.push('\n');
        }
        text
    }

    fn readable(&mut self, bytes: &[u8]) -> String {
        if let Some(last) = bytes.last() {
            self.is_inside_line = *last != b'\n';
        }
        let mut text = String::with_capacity(bytes.len());
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else {
                text.push_str(&harmless(line));
                continue;
            };
            let shown = line.strip_suffix(b"\r").filter(|_| self.takes_crlf);
            text.push_str(&harmless(shown.unwrap_or(line)));
            text.push('\n');
        }
        text
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
    fn a_text_is_the_same_however_it_is_cut() {
        let input = "grüße\r\n\u{1b}[2J\n\r世界 🙂\r\r\nend\r".as_bytes();
        for (takes_crlf, expected) in [
            (true, "grüße\n\\u{1b}[2J\n\\r世界 🙂\\r\nend\\r\n"),
            (false, "grüße\\r\n\\u{1b}[2J\n\\r世界 🙂\\r\\r\nend\\r\n"),
        ] {
            for size in 1..=input.len() {
                let mut text = Text::new(takes_crlf);
                let pieces = input.chunks(size).map(|piece| text.take(piece));
                let mut shown: String = pieces.collect();
                shown.push_str(&text.end());
                assert_eq!(shown, expected, "pieces of {size}");
                assert_eq!(text.end(), "", "it has ended");
            }
        }
        let mut cut = Text::new(true);
        assert_eq!(cut.take(b"a\xe4"), "a");
        assert_eq!(cut.end(), "\u{fffd}\n");
    }
}
