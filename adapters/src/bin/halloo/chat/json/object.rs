//! The objects of the tutorial's chat, as a client sees them.
//!
//! Strict in what is sent. Of what comes, whatever a person can read is shown: servers of this dialect
//! are written by beginners, and each has its own names for things.

use serde::Serialize;
use serde_json::Value;

/// What servers call the one who speaks.
const NAMES: [&str; 5] = ["username", "user", "from", "sender", "name"];

/// What servers call what is said.
const TEXTS: [&str; 3] = ["message", "text", "content"];

/// What a client asks for.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Request<'a> {
    Join { room: &'a str, username: &'a str },
    Chat { message: &'a str },
    Leave,
}

impl Request<'_> {
    /// The object and a newline, which `json.loads` passes over and a server that reads lines needs.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Texts do not fail.
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Chat {
        room: Option<String>,
        username: String,
        message: String,
    },
    Error(String),
    /// A welcome, a notification, or another text for a person.
    Told(String),
    /// Something that somebody did, such as `user_joined`; `text` is all of it but the room.
    Did {
        kind: String,
        username: String,
        room: Option<String>,
        text: String,
    },
    /// Bytes that are no object.
    Text(String),
    /// An object that has nothing to read.
    Strange(String),
}

impl Said {
    pub(super) fn parse(object: &[u8]) -> Self {
        let strange = || Self::Strange(String::from_utf8_lossy(object).into_owned());
        let Ok(members) = serde_json::from_slice::<Value>(object) else {
            return strange();
        };
        let text = |name: &&str| members.get(name).and_then(Value::as_str).map(String::from);
        let kind = text(&"type").unwrap_or_default();
        let room = text(&"room");
        let username = NAMES.iter().find_map(text);
        match (&*kind, username, TEXTS.iter().find_map(text)) {
            ("error", _, Some(message)) => Self::Error(message),
            ("error", _, None) => Self::Error(String::from_utf8_lossy(object).into_owned()),
            (_, Some(username), Some(message)) => Self::Chat {
                room,
                username,
                message,
            },
            (_, None, Some(message)) if kind != "chat" => Self::Told(message),
            ("" | "chat", _, _) | (_, None, _) => strange(),
            (_, Some(username), None) => Self::Did {
                text: in_words(&kind, &username, &members),
                kind,
                username,
                room,
            },
        }
    }
}

/// `user joined: ann`, and behind it whatever else is there.
fn in_words(kind: &str, username: &str, members: &Value) -> String {
    let mut words = format!("{}: {username}", kind.replace(['_', '-'], " "));
    for (name, value) in members.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            _ if name == "type" || name == "room" => {}
            Value::String(text) if text == username => {}
            Value::String(text) => words += &format!(", {name}: {text}"),
            _ => words += &format!(", {name}: {value}"),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_the_tutorial_reads() {
        let check = |request: &Request<'_>, text: &str| {
            assert_eq!(
                String::from_utf8(request.to_bytes()).unwrap(),
                format!("{text}\n")
            );
        };
        let (room, username) = ("lab", "ann");
        check(
            &Request::Join { room, username },
            r#"{"type":"join","room":"lab","username":"ann"}"#,
        );
        let message = "a \"b\" \\ \u{1b} 😀\n";
        check(
            &Request::Chat { message },
            r#"{"type":"chat","message":"a \"b\" \\ \u001b 😀\n"}"#,
        );
        check(&Request::Leave, r#"{"type":"leave"}"#);
    }

    #[test]
    fn what_a_person_can_read_is_understood_whatever_it_is_called() {
        let check = |object: &str, said: Said| assert_eq!(Said::parse(object.as_bytes()), said);
        check(
            r#"{"type":"chat","username":"bob","room":"lab","message":"hi","x":[1]}"#,
            Said::Chat {
                room: Some("lab".into()),
                username: "bob".into(),
                message: "hi".into(),
            },
        );
        check(
            r#"{"type":"chat","username":"bob","message":"\ud83d\ude00"}"#,
            Said::Chat {
                room: None,
                username: "bob".into(),
                message: "😀".into(),
            },
        );
        for name in NAMES {
            for text in TEXTS {
                let who = format!(r#""{name}":"ann","{text}":"hi""#);
                let said = || Said::Chat {
                    room: None,
                    username: "ann".into(),
                    message: "hi".into(),
                };
                check(&format!("{{{who}}}"), said());
                for kind in ["message", "msg", "chat"] {
                    check(&format!(r#"{{"type":"{kind}",{who}}}"#), said());
                }
                let error = format!(r#"{{"type":"error",{who}}}"#);
                check(&error, Said::Error("hi".into()));
            }
        }
        for kind in ["welcome", "notification", "system"] {
            for text in TEXTS {
                check(
                    &format!(r#"{{"type":"{kind}","{text}":"hi"}}"#),
                    Said::Told("hi".into()),
                );
            }
        }
        // A name that is no text is none.
        check(
            r#"{"type":"message","user":{"id":1},"message":"hi"}"#,
            Said::Told("hi".into()),
        );
        check(r#"{"message":"hi"}"#, Said::Told("hi".into()));
        check(
            r#"{"type":"error","message":"no"}"#,
            Said::Error("no".into()),
        );
        check(
            r#"{"type":"error"}"#,
            Said::Error(r#"{"type":"error"}"#.into()),
        );
        let did = |object: &str, words: &str| match Said::parse(object.as_bytes()) {
            Said::Did { text, .. } => assert_eq!(text, words),
            said => panic!("{object}: {said:?}"),
        };
        did(
            r#"{"type":"user_joined","username":"ann","room":"lab"}"#,
            "user joined: ann",
        );
        did(r#"{"type":"left","user":"ann","x":null}"#, "left: ann");
        // What it is called is unknown, so nothing is hidden.
        did(
            r#"{"type":"private","from":"ann","body":"hi","to":["bob"],"n":1}"#,
            r#"private: ann, body: hi, n: 1, to: ["bob"]"#,
        );
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(9000), "]".repeat(9000));
        let (nameless, kindless) = (r#"{"type":"pong"}"#, r#"{"username":"ann"}"#);
        for strange in [
            "{}",
            "{bad}",
            nameless,
            kindless,
            r#"{"type":"chat","message":"x"}"#,
            &deep,
        ] {
            check(strange, Said::Strange(strange.into()));
        }
    }
}
