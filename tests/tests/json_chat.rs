//! The tutorial's chat at a real hub: plain clients that send JSON objects, beside devices of halloo/1.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use halloo_core::wire::{ByeReason, Join, Message, NoticeKind};
use halloo_std::hub::{Data, HubConfig};
use halloo_tests::hub::{Got, Peer, RunningHub, small};
use socket2::{Domain, Socket, Type};

const CHAT: &str = "chat+tcp://127.0.0.1:0";
const JSON: &str = "json+tcp://127.0.0.1:0";
const JSON_V6: &str = "json+tcp://[::1]:0";

/// The listeners for JSON, over IPv4 and IPv6.
const BOTH: [usize; 2] = [1, 2];

const GREETING: &str = r#"{"type":"welcome","message":"Welcome to halloo! Join a room to chat."}"#;
const INVALID: &str = r#"{"type":"error","message":"Invalid JSON"}"#;

/// Shorter than the time in which a lost device may come back before it is told to have left: a client
/// that is gone has left at once.
const PATIENCE: Duration = Duration::from_secs(12);

/// What a tutorial's client has: a socket, and lines to read from it.
struct Client<S> {
    stream: S,
    lines: BufReader<S>,
}

impl Client<TcpStream> {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut client = Self { stream, lines };
        client.hears(GREETING);
        client
    }

    fn of(hub: &RunningHub, number: usize) -> Self {
        Self::new(hub.tcp(number))
    }

    fn in_room(hub: &RunningHub, number: usize, room: &str, name: &str) -> Self {
        let mut client = Self::of(hub, number);
        client.join(room, name);
        client
    }

    /// One whose socket holds little that it has not read.
    fn narrow(hub: &RunningHub, number: usize) -> Self {
        let (host, port) = hub.address(number);
        let address: SocketAddr = format!("{host}:{port}").parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::new(TcpStream::from(socket))
    }
}

impl<S: Read + Write> Client<S> {
    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn join(&mut self, room: &str, name: &str) {
        self.say(&join(room, name));
        self.hears(&notification(&format!("{name} joined {room}")));
    }

    /// The next line, without its end; nothing at the end of the stream.
    #[track_caller]
    fn hear(&mut self) -> String {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(0) => return line,
            Ok(_) => {}
            Err(e) => panic!("{e}, after {line:?}"),
        }
        assert_eq!(line.pop(), Some('\n'), "half an object: {line}");
        line
    }

    #[track_caller]
    fn hears(&mut self, object: &str) {
        assert_eq!(self.hear(), object);
    }

    #[track_caller]
    fn ends(&mut self) {
        self.hears("");
    }
}

fn join(room: &str, name: &str) -> String {
    format!(r#"{{"type":"join","room":"{room}","username":"{name}"}}"#)
}

fn chat(message: &str) -> String {
    format!(r#"{{"type":"chat","message":"{message}"}}"#)
}

fn said(name: &str, room: &str, message: &str) -> String {
    format!(r#"{{"type":"chat","username":"{name}","room":"{room}","message":"{message}"}}"#)
}

fn notification(message: &str) -> String {
    format!(r#"{{"type":"notification","message":"{message}"}}"#)
}

fn error(message: &str) -> String {
    format!(r#"{{"type":"error","message":"{message}"}}"#)
}

fn hub(config: HubConfig) -> RunningHub {
    RunningHub::start(&[CHAT, JSON, JSON_V6], config)
}

#[test]
fn three_clients_chat_and_nobody_hears_itself() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        let mut cy = Client::in_room(&hub, json, "lab", "cy");
        for client in [&mut ann, &mut bob] {
            client.hears(&notification("cy joined lab"));
        }
        ann.say(&chat("hello"));
        for client in [&mut bob, &mut cy] {
            client.hears(&said("ann", "lab", "hello"));
        }
        bob.say(&chat("and you"));
        for client in [&mut ann, &mut cy] {
            client.hears(&said("bob", "lab", "and you"));
        }
        cy.say(r#"{"type":"leave"}"#);
        for client in [&mut ann, &mut bob, &mut cy] {
            client.hears(&notification("cy left lab"));
        }
        ann.say(&chat("without cy"));
        bob.hears(&said("ann", "lab", "without cy"));
        cy.join("lab", "cy");
        cy.say(&chat("back"));
        for client in [&mut ann, &mut bob] {
            client.hears(&notification("cy joined lab"));
            client.hears(&said("cy", "lab", "back"));
        }
        drop(bob);
        for client in [&mut ann, &mut cy] {
            client.hears(&notification("bob left lab"));
        }
    }
}

#[test]
fn objects_mean_the_same_in_whatever_pieces_they_come() {
    for json in BOTH {
        let hub = hub(small());
        let mut other = Client::in_room(&hub, json, "lab", "other");
        let script = format!(
            "{}{}\n \r\n{}{{bad}}{{\"never closed\n{}{}",
            join("lab", "ann"),
            chat(r#"}\"{ \ud83d\ude00"#),
            chat(&"long ".repeat(200)),
            chat("last"),
            r#"{"type":"leave"}"#,
        );
        let segment = script.len().div_ceil(5);
        for piece in [script.len(), segment, 7, 1] {
            let mut ann = Client::of(&hub, json);
            for bytes in script.as_bytes().chunks(piece) {
                ann.stream.write_all(bytes).unwrap();
            }
            ann.hears(&notification("ann joined lab"));
            for _ in 0..2 {
                ann.hears(INVALID);
            }
            ann.hears(&notification("ann left lab"));
            other.hears(&notification("ann joined lab"));
            other.hears(&said("ann", "lab", r#"}\"{ \ud83d\ude00"#));
            other.hears(&said("ann", "lab", &"long ".repeat(200)));
            other.hears(&said("ann", "lab", "last"));
            other.hears(&notification("ann left lab"));
        }
    }
}

#[test]
fn a_client_and_a_device_meet_in_one_room() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut device = hub.peer();
        device.hello(1);
        device.send(&Message::Join(Join {
            slot: 0,
            flags: 0,
            cursor: Join::LATEST,
            history: u32::MAX,
            room: b"lab",
            name: b"sensor",
        }));
        assert!(matches!(device.recv(), Got::Joined { .. }));
        ann.hears(&notification("sensor joined lab"));
        ann.say(&chat(r"how warm? \u00e9"));
        let asked = Got::Entry {
            offset: 1,
            from: "ann".into(),
            body: "how warm? é".into(),
        };
        assert_eq!(device.recv(), asked);
        device.post(b"21\xff C");
        ann.hears(&said("sensor", "lab", r"21\ufffd C"));
        drop(ann);
        loop {
            match device.recv() {
                Got::Ack { .. } | Got::Own { .. } => {}
                left => {
                    let (kind, members) = (NoticeKind::Left, 1);
                    break assert_eq!(left, Got::Notice { kind, members });
                }
            }
        }
        let mut ben = Client::in_room(&hub, json, "lab", "ben");
        device.send(&Message::Leave { slot: 0 });
        ben.hears(&notification("sensor left lab"));
    }
}

#[test]
fn who_posts_and_goes_is_heard_before_it_is_told_to_have_gone() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        for _ in 0..20 {
            let mut bob = Client::of(&hub, json);
            bob.say(&format!("{}{}", join("lab", "bob"), chat("bye")));
            bob.stream.shutdown(Shutdown::Write).unwrap();
            ann.hears(&notification("bob joined lab"));
            ann.hears(&said("bob", "lab", "bye"));
            ann.hears(&notification("bob left lab"));
        }
    }
}

#[test]
fn a_second_join_leaves_the_first_room() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        bob.say(&join("den", "bob"));
        bob.hears(&notification("bob joined den"));
        ann.hears(&notification("bob left lab"));
        ann.say(&chat("not for bob"));
        ann.join_again("den");
        bob.hears(&notification("ann joined den"));
        bob.say(&chat("here"));
        ann.hears(&said("bob", "den", "here"));
    }
}

impl Client<TcpStream> {
    fn join_again(&mut self, room: &str) {
        self.say(&join(room, "ann"));
        self.hears(&notification(&format!("ann joined {room}")));
    }
}

#[test]
fn each_bad_object_is_one_error_and_the_sixteenth_is_the_last() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        for bad in ["{bad}", "nonsense\n", r#"{"type":"join"}"#, "{}"].repeat(4) {
            bob.say(bad);
        }
        bob.say(&chat("too late"));
        for _ in 0..4 {
            bob.hears(INVALID);
            bob.hears(INVALID);
            bob.hears(&error("Room and username required"));
            bob.hears(&error("Type must be join, chat or leave"));
        }
        bob.ends();
        ann.hears(&notification("bob left lab"));
        let mut cy = Client::in_room(&hub, json, "lab", "cy");
        ann.hears(&notification("cy joined lab"));
        ann.say(&chat("on"));
        cy.hears(&said("ann", "lab", "on"));
    }
}

#[test]
fn who_says_nonsense_and_waits_is_told_each_time() {
    let hub = hub(small());
    let mut ann = Client::of(&hub, 1);
    for bad in ["hello", "[1, 2]", "{\"jo\nin\"}", "no JSON "]
        .iter()
        .cycle()
        .take(16)
    {
        ann.say(bad);
        ann.hears(INVALID);
    }
    ann.ends();
}

#[test]
fn capitals_are_the_clients_own_way_to_spell_a_room() {
    let hub = hub(small());
    let mut ann = Client::in_room(&hub, 1, "General", "Ann");
    let mut bob = Client::in_room(&hub, 1, "general", "bob");
    ann.hears(&notification("bob joined General"));
    bob.say(&chat("hi"));
    ann.hears(&said("bob", "General", "hi"));
    ann.say(&chat("ho"));
    bob.hears(&said("Ann", "general", "ho"));
}

#[test]
fn a_message_of_the_hubs_limit_passes_and_a_longer_one_is_an_error_and_no_end() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        ann.say(&chat(&r"\u0001".repeat(1024)));
        bob.hears(&said("ann", "lab", &r"\u0001".repeat(1024)));
        for _ in 0..20 {
            ann.say(&chat(&"x".repeat(1025)));
            ann.hears(&error("Message too long: at most 1024 bytes of UTF-8"));
        }
        ann.say(&chat("on"));
        bob.hears(&said("ann", "lab", "on"));
    }
}

#[test]
fn bodies_far_over_1024_bytes_pass_whole_with_their_escapes() {
    const MOST: u16 = 60_000;
    for json in BOTH {
        let config = HubConfig {
            max_body: MOST,
            ..small()
        };
        let hub = hub(config);
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        // Of 1, 2, 4 and 1 bytes.
        for (unit, bytes) in [
            ("x", 1),
            (r"\u00e9", 2),
            (r"\ud83d\ude00", 4),
            (r"\u0001", 1),
        ] {
            for len in [1025, 5000, usize::from(MOST)] {
                let body = unit.repeat(len / bytes);
                ann.say(&chat(&body));
                bob.hears(&said("ann", "lab", &body));
            }
        }
    }
}

#[test]
fn clients_that_posted_and_went_take_no_place_from_others() {
    let hub = hub(HubConfig {
        members: 2,
        ..small()
    });
    let mut ann = Client::in_room(&hub, 1, "lab", "ann");
    for number in 0..10 {
        let name = format!("guest{number}");
        let mut guest = Client::in_room(&hub, 1, "lab", &name);
        guest.say(&chat("hi"));
        ann.hears(&notification(&format!("{name} joined lab")));
        ann.hears(&said(&name, "lab", "hi"));
        drop(guest);
        ann.hears(&notification(&format!("{name} left lab")));
    }
}

#[test]
fn a_mebibyte_without_an_end_is_one_error_and_deep_nesting_is_none() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let mut bob = Client::in_room(&hub, json, "lab", "bob");
        ann.hears(&notification("bob joined lab"));
        let too_large = error("Object too large: at most 7168 bytes");
        ann.say(r#"{"type":"chat","message":""#);
        ann.say(&"x".repeat(1 << 20));
        ann.hears(&too_large);
        ann.say("\n");
        let deep = format!(r#"{}1{}"#, "[".repeat(3000), "]".repeat(3000));
        ann.say(&format!(r#"{{"type":"chat","message":"deep","x":{deep}}}"#));
        bob.hears(&said("ann", "lab", "deep"));
        ann.say(&r#"{"a":"#.repeat(1 << 18));
        ann.hears(&too_large);
        ann.say(&"}".repeat(1 << 18));
        ann.say(&chat("on"));
        bob.hears(&said("ann", "lab", "on"));
    }
}

#[test]
fn an_object_that_is_never_finished_is_told_so_and_ends_the_connection() {
    let config = HubConfig {
        frame_timeout: Duration::from_millis(50),
        ..small()
    };
    let hub = hub(config);
    for start in [r#"{"type":"#.into(), r#"{"a":"#.repeat(5000)] {
        let mut ann = Client::in_room(&hub, 1, "lab", "ann");
        let mut bob = Client::in_room(&hub, 1, "lab", "bob");
        bob.say(&start);
        if start.len() > 5000 {
            bob.hears(&error("Object too large: at most 7168 bytes"));
        }
        bob.hears(&error("Refused: took too long"));
        bob.ends();
        ann.hears(&notification("bob joined lab"));
        ann.hears(&notification("bob left lab"));
    }
}

#[test]
fn a_client_that_ends_its_side_is_told_what_is_left_and_of_its_half_object() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::of(&hub, json);
        ann.say(&format!("{}{}", join("lab", "ann"), r#"{"type":"leave"#));
        ann.stream.shutdown(Shutdown::Write).unwrap();
        ann.hears(&notification("ann joined lab"));
        ann.hears(INVALID);
        ann.ends();
        // Told once, though it never ends.
        let mut ann = Client::of(&hub, json);
        ann.say(&r#"{"a":"#.repeat(5000));
        ann.stream.shutdown(Shutdown::Write).unwrap();
        ann.hears(&error("Object too large: at most 7168 bytes"));
        ann.ends();
    }
}

/// Closing with the hub's words unread resets the connection.
#[test]
fn who_says_it_and_closes_without_having_read_is_heard_whole() {
    const LAST: usize = 20;
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        for _ in 0..20 {
            let mut sender = hub.tcp(json);
            // Few segments: what its own system holds back is lost with the reset.
            sender.set_nodelay(true).unwrap();
            assert!(sender.peek(&mut [0; 1]).unwrap() > 0);
            sender.write_all(join("lab", "bob").as_bytes()).unwrap();
            let posts: String = (0..=LAST).map(|number| chat(&number.to_string())).collect();
            sender.write_all(posts.as_bytes()).unwrap();
            drop(sender);
            let mut heard = Vec::new();
            while heard.len() <= LAST {
                heard.push(ann.hear());
                heard.retain(|object| object.contains(r#""type":"chat""#));
            }
            let said = (0..=LAST).map(|number| said("bob", "lab", &number.to_string()));
            assert!(heard.into_iter().eq(said));
        }
    }
}

#[test]
fn objects_in_an_array_and_in_a_string_are_one_error_and_are_not_obeyed() {
    for json in BOTH {
        let hub = hub(small());
        let mut ann = Client::in_room(&hub, json, "lab", "ann");
        let leave = r#"{"type":"leave"}"#;
        let twice = serde_json::to_string(leave).unwrap();
        let bad = [
            format!("[{leave}, {leave}]"),
            twice,
            format!(r#"["]", {leave}]"#),
        ];
        for bad in bad {
            let text = format!("{bad}{}", join("lab", "ann"));
            for piece in [text.len(), bad.len(), 1] {
                for bytes in text.as_bytes().chunks(piece) {
                    ann.stream.write_all(bytes).unwrap();
                }
                ann.hears(INVALID);
                ann.hears(&notification("ann joined lab"));
            }
        }
    }
}

#[test]
fn a_flood_is_heard_in_order_and_whole() {
    const POSTS: usize = 20_000;
    let config = HubConfig {
        log_bytes: 8 << 20,
        log_entries: 32 * 1024,
        rooms: 2,
        ..small()
    };
    let hub = hub(config);
    let mut ann = Client::in_room(&hub, 1, "lab", "ann");
    let mut bob = Client::in_room(&hub, 1, "lab", "bob");
    ann.hears(&notification("bob joined lab"));
    let flood = thread::spawn(move || {
        let all: String = (0..POSTS).map(|n| chat(&n.to_string())).collect();
        ann.say(&all);
        ann
    });
    for n in 0..POSTS {
        bob.hears(&said("ann", "lab", &n.to_string()));
    }
    let mut ann = flood.join().unwrap();
    bob.say(&chat("all"));
    ann.hears(&said("bob", "lab", "all"));
}

#[test]
fn a_client_that_only_sends_is_not_held_up_by_what_it_does_not_read() {
    const POSTS: usize = 1000;
    let mut config = small();
    config.options.send_buffer = Some(4096);
    let hub = hub(config);
    let mut ann = Client::narrow(&hub, 1);
    ann.join("lab", "ann");
    let mut bob = Client::in_room(&hub, 1, "lab", "bob");
    let mut device = hub.member(1, "lab");
    // More than ann's socket holds.
    for _ in 0..POSTS {
        device.post_and_wait(&[b'x'; 1000]);
    }
    for n in 0..POSTS {
        ann.say(&chat(&n.to_string()));
    }
    let last = said("ann", "lab", &(POSTS - 1).to_string());
    while bob.hear() != last {}
}

#[test]
fn answers_that_are_not_read_hold_up_the_reading_and_take_no_memory() {
    let hub = hub(small());
    let mut ann = Client::narrow(&hub, 1);
    let limit = Some(Duration::from_millis(300));
    ann.stream.set_write_timeout(limit).unwrap();
    // Refused and not bad, so without an end; far more than sockets hold.
    let wishes = r#"{"type":"leave"}"#.repeat(2 << 20);
    let held = ann.stream.write_all(wishes.as_bytes()).unwrap_err();
    assert_eq!(held.kind(), ErrorKind::WouldBlock);
    for _ in 0..1000 {
        ann.hears(&error("Join a room first"));
    }
    let buffers = hub.stats.snapshot().memory.buffers;
    assert!(buffers < 128 * 1024, "{buffers} bytes");
}

/// Ann reads nothing while the device posts; what she hears afterwards, and how many posts she missed.
fn lagging(hub: &RunningHub, posts: usize) -> (Vec<usize>, usize) {
    let mut ann = Client::narrow(hub, 1);
    ann.join("lab", "ann");
    let mut device = hub.member(1, "lab");
    ann.hears(&notification("dev1 joined lab"));
    for n in 0..posts {
        device.post_and_wait(format!("{n:0>1000}").as_bytes());
    }
    let (mut heard, mut missed) = (Vec::new(), 0);
    while heard.last() != Some(&(posts - 1)) {
        let line = ann.hear();
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let message = object["message"].as_str().unwrap();
        match object["type"].as_str() {
            Some("chat") => heard.push(message.parse().unwrap()),
            _ => {
                let (count, rest) = message.split_once(' ').unwrap();
                assert_eq!(rest, "messages of lab were missed");
                assert_eq!(
                    heard.last().map_or(0, |last| last + 1),
                    heard.len() + missed
                );
                missed += count.parse::<usize>().unwrap();
            }
        }
    }
    (heard, missed)
}

#[test]
fn a_client_that_lags_is_told_how_much_it_missed_and_is_not_cut_off() {
    const POSTS: usize = 6000;
    let config = HubConfig {
        // It says nothing meanwhile.
        write_timeout: Duration::from_millis(20),
        ..small()
    };
    let hub = hub(config);
    let (heard, missed) = lagging(&hub, POSTS);
    assert!(missed > 0, "it did not lag");
    assert_eq!(heard.len() + missed, POSTS);
    assert!(heard.is_sorted(), "{heard:?}");
}

#[test]
fn a_client_that_lags_misses_nothing_that_is_on_disk() {
    const POSTS: usize = 3000;
    let folder = tempfile::tempdir().unwrap();
    let config = HubConfig {
        data: Some(Data::new(folder.path())),
        ..small()
    };
    let hub = hub(config);
    let (heard, missed) = lagging(&hub, POSTS);
    assert_eq!((heard, missed), ((0..POSTS).collect(), 0));
    assert!(hub.stop().stats.read_back > 0, "all of it was in memory");
}

#[test]
fn a_large_room_is_told_counts() {
    let hub = hub(small());
    let mut first = Client::in_room(&hub, 1, "lab", "m0");
    let others: Vec<_> = (1..40)
        .map(|n| Client::in_room(&hub, 1, "lab", &format!("m{n}")))
        .collect();
    let last = notification("40 are in lab");
    while first.hear() != last {}
    drop(others);
}

#[test]
fn clients_come_over_unix_sockets_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chat.sock");
    let url = format!("json+unix:{}", path.display());
    let hub = RunningHub::start(&[CHAT, &url], small());
    let stream = UnixStream::connect(&path).unwrap();
    let lines = BufReader::new(stream.try_clone().unwrap());
    let mut ann = Client { stream, lines };
    ann.hears(GREETING);
    ann.join("lab", "ann");
    let mut device = hub.member(1, "lab");
    ann.hears(&notification("dev1 joined lab"));
    ann.say(&chat("over a file"));
    assert_eq!(device.entry(), (1, b"over a file".into()));
}

#[test]
fn a_hub_that_stops_says_goodbye() {
    let hub = hub(small());
    let mut ann = Client::in_room(&hub, 1, "lab", "ann");
    let mut device: Peer<_> = hub.peer();
    device.hello(1);
    hub.trigger();
    ann.hears(&notification("Goodbye: the hub stops"));
    ann.ends();
    assert_eq!(device.recv(), Got::Bye(ByeReason::Shutdown));
    drop(device);
    assert_eq!(hub.stop().cut_off, 0);
}
