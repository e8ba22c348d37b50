//! Lines that a person types: posts and commands.

use crate::output::harmless;

/// What `/help` says.
pub(super) const HELP: &[&str] = &[
    "/join ROOM     join a room and post there; /join goes to a joined room, too",
    "/leave [ROOM]  leave a room, or this one",
    "/who           list who is in this room",
    "/quit          wait for acknowledgements, then leave; so does Ctrl-D",
    "//TEXT         post a line that starts with /",
];

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    Post(&'l [u8]),
    Join(&'l str),
    Leave(Option<&'l str>),
    Who,
    Quit,
    Help,
    Nothing,
    /// No command, or one with the wrong words behind it.
    Wrong(&'l [u8]),
}

pub(super) fn parse(line: &[u8]) -> Line<'_> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::Nothing;
    }
    match line {
        [b'/', b'/', ..] => return Line::Post(&line[1..]),
        [b'/', ..] => {}
        _ => return Line::Post(line),
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Line::Wrong(line);
    };
    let mut words = text.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("/join"), Some(room), None) => Line::Join(room),
        (Some("/leave"), room, None) => Line::Leave(room),
        (Some("/who"), None, None) => Line::Who,
        (Some("/quit"), None, None) => Line::Quit,
        (Some("/help"), None, None) => Line::Help,
        _ => Line::Wrong(line),
    }
}

/// What is said to a line that is no command.
pub(super) fn wrong(line: &[u8]) -> String {
    format!("{} is no command: /help lists them", harmless(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_post_unless_it_starts_with_a_slash() {
        assert_eq!(parse(b"hello /join x"), Line::Post(b"hello /join x"));
        assert_eq!(parse(b"\xff"), Line::Post(b"\xff"));
        assert_eq!(parse(b"//etc"), Line::Post(b"/etc"));
        assert_eq!(parse(b"  "), Line::Nothing);
        assert_eq!(parse(b"/join lab "), Line::Join("lab"));
        assert_eq!(parse(b"/leave"), Line::Leave(None));
        assert_eq!(parse(b"/leave lab"), Line::Leave(Some("lab")));
        assert_eq!(parse(b"/who"), Line::Who);
        assert_eq!(parse(b"/quit"), Line::Quit);
        assert_eq!(parse(b"/help"), Line::Help);
        for wrong in ["/", "/join", "/join a b", "/nick ann", "/quit now"] {
            assert_eq!(parse(wrong.as_bytes()), Line::Wrong(wrong.as_bytes()));
        }
    }
}
