//! Clients in the tutorial's JSON, at a hub that is always served: any bytes, in any pieces.

#[path = "../../../../adapters/src/hub/tutorial/gateway.rs"]
mod gateway;
#[path = "../../../../adapters/src/hub/tutorial/object.rs"]
mod object;
#[path = "../../../../adapters/src/hub/tutorial/translate.rs"]
mod translate;

use arbitrary::{Result, Unstructured};
use halloo_core::chat::Hub;
use halloo_core::chat::hub::{Config, Conn, ConnId, Member, Pending, Room, Storage, Transmit};
use halloo_core::frame::{Framing, JsonObjects, Scan};
use halloo_core::time::Instant;
use halloo_core::wire::MAX_CONTROL;
use serde_json::Value;

use super::chat::State;
use gateway::Gateway;

const MAX_BODY: u16 = 24;
const NOW: Instant = Instant::from_ticks(0);

/// What clients say that mean it, or nearly.
const KNOWN: [&str; 12] = [
    r#"{"type":"join","room":"lab","username":"ann"}"#,
    r#"{"type":"join","room":"den","username":"ann"}"#,
    r#"{"type":"join","room":"n o","username":"ann"}"#,
    r#"{"type":"join","room":"lab"}"#,
    r#"{"type":"chat","message":"}\"{ \ud83d\ude00"}"#,
    r#"{"type":"chat","message":"longer than it may be here"}"#,
    r#"{"type":"leave"}"#,
    "{bad}",
    "nonsense\n",
    "{\"type\":\"chat\n",
    " \r\n",
    r#"{"a":[{"b":[{"#,
];

/// Errors of which a client gets sixteen.
const OF_BAD_OBJECTS: [&str; 5] = [
    "Invalid JSON",
    "Object too large",
    "Type must be",
    "Room and username required",
    "Message required",
];

/// What one client hears, what another one in its room hears of it, and whether it is closed.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    heard: Vec<u8>,
    seen: Vec<String>,
    is_closed: bool,
}

/// Runs one client, first with all of its bytes at once and then in pieces.
pub fn client(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let (mut text, mut cuts) = (Vec::new(), Vec::new());
    while !u.is_empty() && add(&mut u, &mut text, &mut cuts).is_ok() {}
    // Every other one gives up when its object is not complete in time, and does not wait for its end.
    let gives_up = text.len() % 2 == 0;
    let whole = told(&text, &[], gives_up);
    check(&text, gives_up, &whole);
    assert_eq!(told(&text, &cuts, gives_up), whole, "cut at {cuts:?}");
}

/// Adds a piece of text, and perhaps a cut in it or behind it.
fn add(u: &mut Unstructured<'_>, text: &mut Vec<u8>, cuts: &mut Vec<usize>) -> Result<()> {
    let start = text.len();
    match u.int_in_range(0..=5)? {
        0..=2 => text.extend_from_slice(u.choose(&KNOWN)?.as_bytes()),
        3 => {
            let len = u.int_in_range(0..=16)?;
            text.extend_from_slice(u.bytes(len)?);
        }
        4 => {
            let len = u.int_in_range(0..=16)?;
            for _ in 0..len {
                text.push(*u.choose(b"{}[]\":,\\u0a1 \n")?);
            }
        }
        _ => {
            let depth = u.int_in_range(0..=600)?;
            text.extend(br#"{"a":"#.repeat(depth));
            text.extend(b"1");
            text.extend(b"}".repeat(depth));
        }
    }
    if u.arbitrary()? {
        cuts.push(u.int_in_range(start..=text.len())?);
    }
    Ok(())
}

fn check(text: &[u8], gives_up: bool, told: &Told) {
    let heard = str::from_utf8(&told.heard).expect("what is told is ASCII");
    assert!(heard.is_ascii() && (heard.is_empty() || heard.ends_with('\n')));
    let (mut errors, mut bad) = (0, 0);
    for line in heard.lines() {
        let object: Value = serde_json::from_str(line).expect("each line is an object");
        let message = object["message"].as_str().expect("it has a message");
        match object["type"].as_str() {
            Some("error") => {
                errors += 1;
                bad += usize::from(OF_BAD_OBJECTS.iter().any(|bad| message.starts_with(bad)));
            }
            Some("welcome" | "notification") => {}
            // Nobody else says anything.
            other => panic!("{other:?} is told"),
        }
    }
    let (objects, broken, last) = count(text);
    let is_told = match last {
        Last::Whole => false,
        Last::CutOff => true,
        // Once it was, and giving up is told for itself.
        Last::TooLarge => gives_up,
    };
    let most = objects + broken + usize::from(is_told);
    assert!(errors <= most, "{errors} errors for {objects} objects");
    let least = broken + usize::from(is_told && !gives_up);
    assert!(bad >= least.min(16), "{bad} of {least} were told");
    assert_eq!(told.is_closed, bad >= 16, "{bad} bad objects");
    assert!(bad <= 16, "{bad} bad objects were told");
}

/// What stands at the end of the text.
enum Last {
    Whole,
    CutOff,
    TooLarge,
}

/// How many objects there are by their braces, how often there is something else, and how it ends.
fn count(mut text: &[u8]) -> (usize, usize, Last) {
    let mut framing = JsonObjects::new(object::limit(MAX_BODY));
    let (mut objects, mut broken) = (0, 0);
    loop {
        match framing.scan(text) {
            Ok(Scan::Frame { consumed, .. }) => {
                objects += 1;
                text = &text[consumed..];
            }
            Ok(Scan::Skip { consumed }) => text = &text[consumed..],
            Ok(Scan::More) => break,
            Err(_) => broken += 1,
        }
    }
    let last = match framing.end(text) {
        Ok(()) => Last::Whole,
        Err(_) if text.is_empty() => Last::TooLarge,
        Err(_) => Last::CutOff,
    };
    (objects, broken, last)
}

/// A client and the gateway to the hub.
struct Client {
    id: ConnId,
    gateway: Gateway,
    inbox: Vec<u8>,
    heard: Vec<u8>,
    is_closed: bool,
}

fn told(text: &[u8], cuts: &[usize], gives_up: bool) -> Told {
    // So much that nobody misses anything.
    let (mut conns, mut members) = ([Conn::FREE; 2], [Member::FREE; 8]);
    let (mut rooms, mut pending) = ([Room::FREE; 2], [Pending::FREE; 8]);
    let (mut bytes, mut index) = (vec![0; 1 << 20], vec![[0; 4]; 1 << 14]);
    let storage = Storage {
        conns: &mut conns,
        members: &mut members,
        rooms: &mut rooms,
        bytes: &mut bytes,
        index: &mut index,
        pending: &mut pending,
    };
    let config = Config {
        max_body: MAX_BODY,
        ..Config::new(1, [1, 2, 3, 4], 5)
    };
    let mut hub = Hub::new(config, storage);
    let mut other = Client::open(&mut hub);
    other.take(
        &mut hub,
        br#"{"type":"join","room":"lab","username":"other"}"#,
    );
    let mut client = Client::open(&mut hub);
    let (mut start, mut is_between) = (0, true);
    for &cut in cuts.iter().chain([&text.len()]) {
        is_between = client.take(&mut hub, &text[start..cut]);
        other.take(&mut hub, b"");
        start = cut;
    }
    if gives_up && !is_between {
        client.give_up(&mut hub);
    } else {
        client.end(&mut hub);
    }
    other.take(&mut hub, b"");
    let seen = String::from_utf8(other.heard).expect("what is told is ASCII");
    let posts = seen
        .lines()
        .filter(|line| line.contains(r#""type":"chat""#));
    Told {
        heard: client.heard,
        seen: posts.map(String::from).collect(),
        is_closed: client.is_closed,
    }
}

impl Client {
    fn open(hub: &mut Hub<'_>) -> Self {
        let id = hub.connect(NOW).expect("there is place");
        let limit = object::limit(MAX_BODY);
        Self {
            id,
            gateway: Gateway::open(hub, NOW, id, limit).expect("there are random numbers"),
            inbox: Vec::new(),
            heard: Vec::new(),
            is_closed: false,
        }
    }

    /// Bytes come in, and all that follows from them; whether no object has begun then.
    fn take(&mut self, hub: &mut Hub<'_>, bytes: &[u8]) -> bool {
        self.inbox.extend_from_slice(bytes);
        let most = self.inbox.len() + 10;
        for turn in 0.. {
            assert!(turn < most, "it comes to no rest");
            self.gateway.handle_flushed();
            let mut text = Vec::new();
            let parsed = self
                .gateway
                .parse(hub, NOW, self.id, &self.inbox, &mut text);
            self.heard.append(&mut text);
            self.inbox.drain(..parsed.used);
            hub.commit_in_memory();
            self.listen(hub);
            match parsed.state {
                State::Busy => {}
                State::Whole => return parsed.is_between,
                State::Bad => {
                    assert!(self.inbox.is_empty());
                    self.is_closed = true;
                    return true;
                }
            }
        }
        unreachable!("the turns end before")
    }

    /// The object that has begun is not complete in time.
    fn give_up(&mut self, hub: &mut Hub<'_>) {
        self.gateway.give_up(hub, NOW, self.id, &mut self.heard);
        self.listen(hub);
    }

    /// The other side is closed, after a pause.
    fn end(&mut self, hub: &mut Hub<'_>) {
        if self.inbox.is_empty() {
            self.gateway.handle_pause();
        }
        self.gateway.handle_end(&self.inbox, &mut self.heard);
        self.inbox.clear();
        self.take(hub, b"");
        Gateway::close(hub, NOW, self.id);
        self.listen(hub);
    }

    fn listen(&mut self, hub: &mut Hub<'_>) {
        let (mut out, mut late) = ([0; MAX_CONTROL], Vec::new());
        loop {
            match hub.poll_transmit(NOW, self.id, &mut out) {
                Transmit::Message(len) => {
                    self.gateway.hear(&out[..len], &mut self.heard, &mut late);
                }
                Transmit::Entries(run) => {
                    let sent = run.sent;
                    let used = self
                        .gateway
                        .hear_entries([run.head, run.tail], &mut self.heard);
                    let _ = hub.handle_sent(NOW, self.id, sent, used);
                }
                Transmit::Idle | Transmit::Close => break,
                Transmit::Stored(_) => panic!("there is no store"),
            }
            self.gateway.grant(hub, NOW, self.id);
        }
        self.heard.append(&mut late);
    }
}
