use super::*;

const WELCOME: &str = r#"{"type":"welcome","message":"hi"}"#;
const OURS: &str = r#"{"type":"welcome","message":"Welcome to halloo! Join a room to chat."}"#;

/// A member, with a clock that goes as it is told.
struct World {
    member: Member,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            member: Member::new("ann", "lab", now),
            now,
        }
    }

    /// One in the room of a server that greets so and whose objects end so.
    fn greeted(welcome: &str, end: &str) -> Self {
        let mut world = Self::new();
        world.hears(&format!("{welcome}{end}"));
        world.says("join");
        world.hears(&format!("{}{end}", told("ann joined lab")));
        assert_eq!(world.member.room(), Some("lab"));
        world
    }

    /// One in the room of a server that is not ours.
    fn in_lab() -> Self {
        Self::greeted(WELCOME, "")
    }

    fn hears(&mut self, text: &str) -> Vec<Event> {
        self.member.handle_received(text.as_bytes());
        self.events()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.member.poll_event(self.now)).collect()
    }

    /// What is to be written has `part`, and is written.
    #[track_caller]
    fn says(&mut self, part: &str) {
        let unsent = String::from_utf8(self.member.unsent().to_vec()).unwrap();
        assert!(unsent.contains(part) && unsent.ends_with('\n'), "{unsent}");
        // In two pieces.
        self.member.handle_sent(1, self.now);
        assert!(!self.member.is_ready());
        self.member.handle_sent(unsent.len() - 1, self.now);
    }

    fn wait(&mut self, span: Duration) -> Vec<Event> {
        self.now += span;
        self.events()
    }
}

fn told(message: &str) -> String {
    format!(r#"{{"type":"notification","message":"{message}"}}"#)
}

#[test]
fn nothing_is_said_before_the_welcome_and_no_line_before_the_room_is_joined() {
    let mut world = World::new();
    assert!(world.events().is_empty());
    assert!(world.member.unsent().is_empty() && !world.member.is_ready());
    // In pieces, of which only the last makes it whole.
    for byte in WELCOME.as_bytes() {
        assert!(world.member.unsent().is_empty());
        world.member.handle_received(&[*byte]);
        world.events();
    }
    world.says(r#"{"type":"join","room":"lab","username":"ann"}"#);
    for other in ["something else", "ann joined lab2"] {
        world.hears(&told(other));
        assert!(!world.member.is_ready());
    }
    world.hears(&told("ann joined lab"));
    assert!(world.member.is_ready());
}

#[test]
fn a_server_that_does_not_greet_or_answer_is_spoken_to_all_the_same() {
    let mut world = World::new();
    assert_eq!(world.member.poll_timeout(), Some(world.now + ANSWER));
    world.wait(ANSWER - Duration::from_millis(1));
    assert!(world.member.unsent().is_empty());
    world.wait(Duration::from_millis(1));
    world.says("join");
    assert_eq!(world.member.poll_timeout(), Some(world.now + ANSWER));
    let unanswered = Event::Unanswered(Wish::Join("lab".into()));
    assert_eq!(world.wait(ANSWER), [unanswered]);
    assert_eq!(world.member.room(), Some("lab"));
    assert!(world.member.is_ready());
    assert_eq!(world.member.poll_timeout(), None);
}

#[test]
fn lines_go_out_with_a_pause_between_unless_the_welcome_is_our_hubs() {
    let like_ours = r#"{"type":"chat","username":"bob","message":"Welcome to halloo!"}"#;
    let late = format!("{WELCOME}{OURS}");
    for (welcome, end) in [
        (WELCOME, ""),
        (WELCOME, " "),
        (WELCOME, "\n"),
        (like_ours, "\n"),
        (&late, "\n"),
    ] {
        let mut bare = World::greeted(welcome, end);
        // The answer to the join says that it was read.
        assert!(bare.member.is_ready());
        for line in ["one", "two"] {
            bare.member.chat(line, bare.now);
            bare.says(line);
            assert!(!bare.member.is_ready());
            assert_eq!(bare.member.poll_timeout(), Some(bare.now + PAUSE));
            bare.wait(PAUSE - Duration::from_millis(1));
            assert!(!bare.member.is_ready());
            bare.wait(Duration::from_millis(1));
            assert!(bare.member.is_ready());
            assert_eq!(bare.member.poll_timeout(), None);
        }
    }
    let mut ours = World::greeted(OURS, "\n");
    for line in ["one", "two"] {
        assert!(ours.member.is_ready());
        ours.member.chat(line, ours.now);
        ours.says(line);
    }
    assert!(ours.member.is_ready());
}

#[test]
fn a_wish_that_is_refused_is_told_with_its_reason() {
    let mut world = World::new();
    world.hears(WELCOME);
    world.says("join");
    let events = world.hears(r#"{"type":"error","message":"full"}"#);
    let (wish, why) = (Wish::Join("lab".into()), "full".into());
    assert_eq!(events, [Event::Refused { wish, why }]);
    assert_eq!(world.member.room(), None);
    // What comes unasked is no refusal.
    let events = world.hears(r#"{"type":"error","message":"full"}"#);
    assert_eq!(events, [Event::Said(Said::Error("full".into()))]);
}

#[test]
fn a_leave_that_the_server_does_not_know_leaves_one_where_one_is() {
    let mut world = World::in_lab();
    world.member.leave(world.now);
    world.says("leave");
    world.hears(r#"{"type":"error","message":"Unknown type"}"#);
    assert_eq!(world.member.room(), Some("lab"));
    world.wait(PAUSE);
    world.member.leave(world.now);
    world.says("leave");
    // Somebody else's, or of another room.
    for other in ["bob left lab", "anna left lab", "ann left lab-2", "ann"] {
        world.hears(&told(other));
        assert!(!world.member.is_ready(), "{other}");
    }
    assert_eq!(world.wait(ANSWER), [Event::Unanswered(Wish::Leave)]);
    assert_eq!(world.member.room(), Some("lab"));
    world.member.leave(world.now);
    world.says("leave");
    world.hears(&told("ann left lab"));
    assert_eq!(world.member.room(), None);
}

#[test]
fn a_server_that_signs_its_answer_to_a_join_has_answered() {
    for (username, message) in [("server", "ann joined lab"), ("ann", "joined lab")] {
        let mut world = World::new();
        world.hears(WELCOME);
        world.says("join");
        world.hears(r#"{"type":"chat","username":"bob","message":"in lab it is warm"}"#);
        assert_eq!(world.member.room(), None);
        world.hears(&format!(
            r#"{{"type":"system","username":"{username}","message":"{message}"}}"#
        ));
        assert_eq!(world.member.room(), Some("lab"), "{username}");
        // Members speak of the room that one is about to leave.
        world.member.leave(world.now);
        world.says("leave");
        world.hears(r#"{"type":"chat","username":"bob","message":"ann left lab"}"#);
        assert_eq!(world.member.room(), Some("lab"));
        world.hears(r#"{"type":"system","username":"ann","message":"ann left lab"}"#);
        assert_eq!(world.member.room(), None);
    }
}

#[test]
fn an_error_of_a_line_before_it_does_not_hide_the_answer_to_a_wish() {
    let error = r#"{"type":"error","message":"Invalid JSON"}"#;
    for (late, room) in [
        (ANSWER - Duration::from_millis(1), None),
        (ANSWER, Some("lab")),
    ] {
        let mut world = World::in_lab();
        world.member.leave(world.now);
        world.says("leave");
        world.hears(error);
        world.hears(&told("anna left lab"));
        assert_eq!(world.member.room(), Some("lab"));
        world.wait(late);
        world.hears(&told("ann left lab"));
        assert_eq!(world.member.room(), room);
    }
    let mut world = World::in_lab();
    world.member.join("den", world.now);
    world.says("join");
    world.hears(error);
    assert_eq!(world.member.room(), Some("lab"));
    world.hears(&told("ann joined den"));
    assert_eq!(world.member.room(), Some("den"));
}

#[test]
fn a_line_of_ones_own_that_comes_back_is_passed_over_once() {
    let chat = |name: &str, text: &str| {
        format!(r#"{{"type":"chat","username":"{name}","message":"{text}"}}"#)
    };
    let mut world = World::in_lab();
    for line in ["one", "two", "one"] {
        world.member.chat(line, world.now);
        world.says(line);
        world.wait(PAUSE);
    }
    for (name, text, shown) in [
        ("bob", "one", 1),
        ("ann", "three", 1),
        ("ann", "one", 0),
        ("ann", "two", 0),
        ("ann", "two", 1),
        ("ann", "one", 0),
        ("ann", "one", 1),
    ] {
        assert_eq!(world.hears(&chat(name, text)).len(), shown, "{name} {text}");
    }
    // A namesake's, perhaps.
    for (late, shown) in [(Duration::ZERO, 0), (Duration::from_millis(1), 1)] {
        world.member.chat("four", world.now);
        world.says("four");
        world.wait(ECHO + late);
        assert_eq!(world.hears(&chat("ann", "four")).len(), shown);
    }
    // Our hub sends nothing back.
    let mut ours = World::greeted(OURS, "\n");
    ours.member.chat("one", ours.now);
    ours.says("one");
    assert_eq!(ours.hears(&chat("ann", "one")).len(), 1);
}

#[test]
fn another_room_is_joined_when_the_server_says_so() {
    let mut world = World::in_lab();
    world.member.join("den", world.now);
    world.says(r#""room":"den""#);
    world.hears(&told("ann left lab"));
    assert_eq!(world.member.room(), Some("lab"));
    world.hears(&told("ann joined den"));
    assert_eq!(world.member.room(), Some("den"));
}

#[test]
fn what_is_no_json_is_told_and_the_rest_is_heard() {
    let mut world = World::in_lab();
    let told_of = |text: &str| Event::Said(Said::Told(text.into()));
    let text_of = |text: &str| Event::Said(Said::Text(text.into()));
    let broken = "{\"type\":\"\n";
    let text = format!("a b {}\nb\n{}c\n\n{broken}", told("one"), told("two"));
    let expected = [
        text_of("a b"),
        told_of("one"),
        text_of("b"),
        told_of("two"),
        text_of("c"),
        text_of("{\"type\":\""),
    ];
    assert_eq!(world.hears(&text), expected);
    let events: Vec<_> = text
        .chars()
        .flat_map(|c| world.hears(c.encode_utf8(&mut [0; 4])))
        .collect();
    assert_eq!(events, expected);
    assert_eq!(world.member.poll_timeout(), None);
    // A prompt, in two pieces.
    assert_eq!(world.hears("Enter your"), []);
    assert_eq!(world.wait(STOP / 2), []);
    assert_eq!(world.hears(" name: "), []);
    assert_eq!(world.member.poll_timeout(), Some(world.now + STOP));
    assert_eq!(world.wait(STOP), [text_of("Enter your name:")]);
    assert_eq!(world.member.poll_timeout(), None);
    world.hears("\n");
    // An array, in three pieces, and a prompt that begins as one does.
    let array = format!("[1, {}]", told("in"));
    assert_eq!(world.hears("[1, "), []);
    assert_eq!(world.hears(&told("in")), []);
    assert_eq!(world.hears("]\n"), [text_of(&array)]);
    assert_eq!(world.hears("[name: "), []);
    assert_eq!(world.wait(STOP), [text_of("[name:")]);
    assert_eq!(world.hears(&told("on")), [told_of("on")]);
    let long = "x".repeat(TEXT);
    assert_eq!(world.hears(&long), [text_of(&long)]);
    assert_eq!(world.hears("\n"), []);
    assert_eq!(world.hears(&told("on")), [told_of("on")]);
    world.hears(r#"{"type":""#);
    let events = world.hears(&"x".repeat(MAX_OBJECT));
    let strange = Event::Said(Said::Strange("an object of more than 1 MiB".into()));
    assert_eq!(events, [strange]);
    world.hears("\"}");
    assert_eq!(world.hears(&told("on")), [told_of("on")]);
    // The last words, though they may not be whole.
    assert_eq!(world.hears("Bye"), []);
    world.member.handle_end();
    assert_eq!(world.events(), [text_of("Bye")]);
    assert_eq!(world.events(), []);
}

#[test]
fn what_one_did_oneself_is_the_answer() {
    let did = |kind: &str, of: &str| format!(r#"{{"type":"{kind}","username":{of}}}"#);
    let mut world = World::new();
    world.hears(WELCOME);
    world.says("join");
    for (kind, of) in [
        ("user_joined", r#""anna""#),
        ("user_left", r#""ann""#),
        ("user_joined", r#""ann","room":"den""#),
    ] {
        world.hears(&did(kind, of));
        assert_eq!(world.member.room(), None, "{kind} {of}");
    }
    world.hears(&did("user_joined", r#""ann","room":"lab""#));
    assert_eq!(world.member.room(), Some("lab"));
    world.member.leave(world.now);
    world.says("leave");
    world.hears(&did("user_left", r#""bob""#));
    assert_eq!(world.member.room(), Some("lab"));
    world.hears(&did("user_left", r#""ann""#));
    assert_eq!(world.member.room(), None);
}
