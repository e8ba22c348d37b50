//! Whether what a server says is the answer to a wish. Servers word it as they like, but name who and where.

use super::member::Wish;
use super::object::Said;

/// Whether `said` grants the wish of `name`, who is in `here`.
pub(super) fn grants(said: &Said, wish: &Wish, name: &str, here: Option<&str>) -> bool {
    let room = match wish {
        Wish::Join(room) => Some(&**room),
        Wish::Leave => here,
    };
    let names_room = |text: &str| room.is_some_and(|room| has_word(text, room));
    match (said, wish) {
        // Others cannot have spoken of a room that is being joined.
        (Said::Told(text), Wish::Join(_)) => names_room(text),
        (Said::Told(text), Wish::Leave) => names_room(text) && has_word(text, name),
        // `ann: joined lab`, or `server: ann joined lab`.
        (
            Said::Chat {
                username, message, ..
            },
            Wish::Join(_),
        ) => names_room(message) && (username == name || has_word(message, name)),
        // Members may speak of the room that is being left, in any words.
        (
            Said::Chat {
                username, message, ..
            },
            Wish::Leave,
        ) => username == name && names_room(message) && has_word(message, name),
        (
            Said::Did {
                kind,
                username,
                room: of,
                ..
            },
            _,
        ) => is_kind(kind, wish) && username == name && (of.is_none() || of.as_deref() == room),
        (Said::Error(_) | Said::Text(_) | Said::Strange(_), _) => false,
    }
}

fn is_kind(kind: &str, wish: &Wish) -> bool {
    match wish {
        Wish::Join(_) => kind.contains("join"),
        Wish::Leave => kind.contains("leave") || kind.contains("left"),
    }
}

/// Whether `word` stands in a text by itself: `ann` is in none of `anna`, `ann-2` and `ann.b`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, behind) = (&text[..at], &text[at + word.len()..]);
        ends(before.chars().rev()) && ends(behind.chars())
    })
}

/// Whether a word has ended where these come next. A stop or a dash may be in a name, and at the end of
/// a sentence.
fn ends(mut next: impl Iterator<Item = char>) -> bool {
    match next.next() {
        Some('.' | '-') => !next.next().is_some_and(is_of_word),
        Some(c) => !is_of_word(c),
        None => true,
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_where_it_stands_by_itself() {
        for text in [
            "ann",
            "ann left",
            "it is ann",
            "anna and ann.",
            "\"ann\"",
            "(ann)",
            "#ann,",
            "ann - left",
            "ann's",
            "…ann…",
        ] {
            assert!(has_word(text, "ann"), "{text}");
        }
        for text in [
            "", "an", "anna", "joann", "ann2", "ann_", "ann-2", "x.ann", "ann.b", "ännann", "annä",
        ] {
            assert!(!has_word(text, "ann"), "{text}");
        }
    }
}
