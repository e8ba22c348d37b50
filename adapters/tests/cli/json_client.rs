//! `halloo chat json+tcp://…`: at a room server in plain Python, at our hub, and at servers that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::JoinHandle;

use rustix::process::Signal;

use crate::process::{Ended, Hub, Running};
use crate::python::has_python;
use crate::python_servers::{script, server};
use crate::servers::{HOSTS, one, url};
use crate::terminal::Terminal;
use crate::tutorials::thousand_print;

const WELCOME: &str = r#"{"type":"welcome","message":"hi"}"#;
const JOINED: &str = r#"{"type":"notification","message":"ann joined lab"}"#;
const REFUSAL: &str = r#"{"type":"error","message":"Room \u001b full"}"#;
const READ: &str = "the server has read";

fn chat(url: &str, name: &str, more: &[&str]) -> Running {
    let args = ["chat", url, "--room", "lab", "--name", name];
    Running::start(&[&args, more].concat())
}

/// One that takes commands, in the room.
fn member(url: &str, name: &str) -> Running {
    let member = chat(url, name, &["--commands"]);
    member.err(&format!("-- {name} joined lab"));
    member
}

/// The tutorial's client, in the room.
fn plain(host: &str, url: &str, name: &str) -> Running {
    let (_, port) = url.rsplit_once(':').unwrap();
    let mut client = script("room_chat.py", &[host, port]);
    client.out("welcome: ");
    client.say(&format!("/join lab {name}"));
    assert_eq!(
        client.out(""),
        format!("notification: {name} joined lab"),
        "{url}"
    );
    client
}

/// A server of one client: what it says first and to each line, and whether it waits for the end then;
/// the lines that it heard.
fn scripted(
    host: &str,
    script: &'static [&'static str],
    waits: bool,
) -> (String, JoinHandle<Vec<String>>) {
    let (port, server) = one(host, move |mut stream: TcpStream| {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut heard = Vec::new();
        stream.write_all(script[0].as_bytes()).unwrap();
        for (answer, line) in script[1..].iter().zip(&mut lines) {
            heard.push(line.unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
        }
        if waits {
            assert_eq!(lines.count(), 0);
        }
        heard
    });
    (url("json+tcp", host, port), server)
}

#[track_caller]
fn ends(ended: &Ended, code: i32, part: &str) {
    let last = ended.err.last().unwrap();
    assert!(ended.code == Some(code) && last.contains(part), "{ended:?}");
}

#[test]
fn it_chats_with_plain_python_at_a_plain_python_server() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let (_server, at) = server("room_server.py", "json+tcp", host);
        let mut bob = plain(host, &at, "bob");
        let mut ann = member(&at, "ann");
        bob.out("notification: ann joined lab");
        // It knows no `leave`, and says so; no line is to blame.
        ann.say("/leave");
        ann.err("-- the server does not let you leave: Unknown message type");
        for line in ["hello bob", "grüße \"😀\" \\", "}{"] {
            ann.say(line);
            assert_eq!(ann.out(""), format!("[lab] ann: {line}"));
            assert_eq!(bob.out(""), format!("[lab] ann: {line}"));
            bob.say(line);
            assert_eq!(ann.out(""), format!("[lab] bob: {line}"));
        }
        ann.say("/leave");
        ann.err("-- the server says, to the leave or to a line before it: Unknown message type");
        ann.say("still here");
        bob.out("[lab] ann: still here");
        ann.say("/join den");
        ann.err("-- ann joined den");
        ann.say("alone");
        ann.out("[den] ann: alone");
        bob.say("/join den bob");
        ann.err("-- bob joined den");
        ann.say("/quit");
        bob.out("notification: ann left den");
        let ended = ann.wait();
        assert!(ended.err[0].contains("has read 5 lines"), "{ended:?}");
        ends(&ended, 1, "the server answered with 2 errors");
    }
}

#[test]
fn a_server_that_sends_ones_own_lines_back_shows_each_once() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let server = script("room_server.py", &[host, "all"]);
        let at = url("json+tcp", host, server.out(""));
        let mut bob = plain(host, &at, "bob");
        let mut ann = member(&at, "ann");
        bob.out("notification: ann joined lab");
        for line in ["hello", "hello", "grüße \"😀\" \\"] {
            ann.say(line);
            assert_eq!(ann.out(""), format!("[lab] ann: {line}"));
            assert_eq!(bob.out(""), format!("[lab] ann: {line}"));
            bob.say(line);
            assert_eq!(bob.out(""), format!("[lab] bob: {line}"));
            assert_eq!(ann.out(""), format!("[lab] bob: {line}"));
        }
        ann.say("/quit");
        let ended = ann.wait();
        assert!(ended.out.is_empty(), "{ended:?}");
        ends(&ended, 0, "has read 3 lines");
    }
}

#[test]
fn it_chats_with_plain_python_at_our_hub_and_leaves_and_comes_back() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let hub = Hub::start(&[&url("json+tcp", host, 0)]);
        let mut bob = plain(host, hub.url(), "bob");
        let mut ann = member(hub.url(), "ann");
        bob.out("notification: ann joined lab");
        ann.say("hello");
        bob.out("[lab] ann: hello");
        ann.say("/leave");
        ann.err("-- ann left lab");
        bob.out("notification: ann left lab");
        ann.say("/leave den");
        ann.err("-- you are in no room");
        ann.say("/join lab");
        bob.out("notification: ann joined lab");
        bob.say("welcome back");
        ann.out("[lab] bob: welcome back");
        ann.say("/leave den");
        ann.err("-- you are not in den");
        ann.say("/who");
        ann.err("-- servers that speak JSON do not tell who is there");
        ann.say("//quit");
        bob.out("[lab] ann: /quit");
        let ended = ann.wait();
        ends(&ended, 0, READ);
        bob.out("notification: ann left lab");
    }
}

#[test]
fn members_of_both_dialects_see_each_other() {
    for host in HOSTS {
        let hub = Hub::start(&[&url("chat+tcp", host, 0), &url("json+tcp", host, 0)]);
        let mut device = chat(&hub.urls[0], "dev", &["--commands"]);
        device.err("you are in lab, 1 here");
        let mut ann = member(&hub.urls[1], "ann");
        device.err("-- ann came to lab, 2 here");
        ann.say("from JSON");
        assert_eq!(device.out(""), "[lab] ann: from JSON");
        device.say("from halloo/1");
        assert_eq!(ann.out("dev"), "[lab] dev: from halloo/1");
        ann.say("/quit");
        device.err("-- ann left lab, 1 here");
        ends(&ann.wait(), 0, "has read 1 line;");
        device.say("/quit");
        assert_eq!(device.wait().code, Some(0));
    }
}

#[test]
fn every_piped_line_is_read_by_our_hub_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let unix = format!("json+unix:{}", dir.path().join("room.sock").display());
    let hub = Hub::start(&["json+tcp://127.0.0.1:0", "json+tcp://[::1]:0", &unix]);
    for at in &hub.urls {
        let bob = chat(at, "bob", &["--follow"]);
        bob.err("-- bob joined lab");
        let mut ann = chat(at, "ann", &[]);
        let lines: Vec<_> = (0..300)
            .map(|n| format!("/{n} {}", "x".repeat(n)))
            .collect();
        for line in &lines {
            ann.say(line);
        }
        let ended = ann.wait();
        ends(
            &ended,
            0,
            "has read 300 lines; who got them, it does not say",
        );
        let said: Vec<_> = lines
            .iter()
            .map(|line| format!("[lab] ann: {line}"))
            .collect();
        assert_eq!(ended.out, said);
        for line in said {
            assert_eq!(bob.out(""), line);
        }
    }
}

/// The client knows our hub by it, and lets it have lines without a pause.
#[test]
fn our_hub_greets_as_the_client_expects() {
    let hub = Hub::start(&["json+tcp://127.0.0.1:0"]);
    let (_, at) = hub.url().split_once("//").unwrap();
    let mut line = String::new();
    let stream = TcpStream::connect(at).unwrap();
    BufReader::new(stream).read_line(&mut line).unwrap();
    let start = r#"{"type":"welcome","message":"Welcome to halloo!"#;
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn a_line_waits_for_the_welcome_and_for_the_answer_to_the_join() {
    for host in HOSTS {
        let (port, server) = one(host, |mut stream: TcpStream| {
            // Nothing has come before the welcome, nor before the answer to the join.
            let mut heard = Vec::new();
            for answer in [WELCOME, JOINED] {
                stream.set_nonblocking(true).unwrap();
                assert!(stream.read(&mut [0; 1]).is_err());
                stream.set_nonblocking(false).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
                let mut bytes = [0; 1024];
                let n = stream.read(&mut bytes).unwrap();
                heard.push(String::from_utf8(bytes[..n].to_vec()).unwrap());
            }
            heard
        });
        let mut ann = chat(&url("json+tcp", host, port), "ann", &[]);
        ann.say("one");
        ann.wait();
        let expected = [
            "{\"type\":\"join\",\"room\":\"lab\",\"username\":\"ann\"}\n",
            "{\"type\":\"chat\",\"message\":\"one\"}\n",
        ];
        assert_eq!(server.join().unwrap(), expected);
    }
}

#[test]
fn objects_in_any_cut_are_shown_with_their_control_bytes_escaped() {
    let chat_of =
        |text: &str| format!(r#"{{"type":"chat","username":"b\u001bb","message":"{text}"}}"#);
    let all = format!(
        "{}{} {}non\u{1b}sense\n{}",
        chat_of(r#"\u001b[2J}\"\ud83d\ude00"#),
        chat_of(&"long ".repeat(1000)),
        r#"{"type":"system","message":"\u0007"}{"type":"user_joined","username":"\u001b"}"#,
        chat_of("last"),
    );
    for piece in [all.len(), 1000, 1] {
        let bytes = all.clone().into_bytes();
        let (port, server) = one("127.0.0.1", move |mut stream: TcpStream| {
            stream.set_nodelay(true).unwrap();
            for text in [WELCOME, JOINED] {
                stream.write_all(text.as_bytes()).unwrap();
            }
            for piece in bytes.chunks(piece) {
                stream.write_all(piece).unwrap();
            }
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let at = url("json+tcp", "127.0.0.1", port);
        let mut ann = chat(&at, "ann", &["--commands"]);
        let long = format!("[lab] b\\u{{1b}}b: {}", "long ".repeat(1000));
        assert_eq!(ann.out(""), "[lab] b\\u{1b}b: \\u{1b}[2J}\"😀");
        assert_eq!(ann.out(""), long);
        assert_eq!(ann.out(""), "[lab] b\\u{1b}b: last");
        ann.err("-- \\u{7}");
        ann.err("-- user joined: \\u{1b}");
        // A text that stops for long may come in two.
        let mut text = String::new();
        while text != "non\\u{1b}sense" {
            let line = ann.err("-- the server sent no JSON: ");
            text += line.split_once("JSON: ").unwrap().1;
        }
        ann.say("/quit");
        ends(&ann.wait(), 0, "has read 0 lines");
        server.join().unwrap();
    }
}

#[test]
fn each_bad_end_has_its_text_and_exit_code() {
    let run = |at: &str, more: &[&str], lines: &[&str]| {
        let mut ann = chat(at, "ann", more);
        for line in lines {
            ann.say(line);
        }
        ann.wait()
    };
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("json+tcp://{}", gone.local_addr().unwrap());
    drop(gone);
    ends(&run(&at, &[], &[]), 3, "refused the connection");
    ends(&run(&at, &["--history", "5"], &[]), 2, "keep no history");
    ends(
        &run("json+unix:/nowhere.sock", &[], &[]),
        3,
        "/nowhere.sock",
    );

    let (at, server) = scripted("::1", &[WELCOME, REFUSAL], true);
    let why = "does not let you join lab: Room \\u{1b} full";
    ends(&run(&at, &[], &[]), 3, why);
    server.join().unwrap();

    let (at, server) = scripted("127.0.0.1", &[WELCOME, JOINED, REFUSAL, ""], true);
    let why = "the server answered with 1 error";
    ends(&run(&at, &[], &["one", "two"]), 1, why);
    assert_eq!(server.join().unwrap().len(), 3);

    // It goes while the input is open.
    let (at, server) = scripted("::1", &[WELCOME, JOINED, ""], false);
    let mut ann = chat(&at, "ann", &["--follow"]);
    ann.say("one");
    let line = ann.err("error: ");
    assert!(line.contains("closed the connection"), "{line}");
    assert!(line.contains("lines sent last may be lost"), "{line}");
    assert_eq!(ann.wait().code, Some(5));
    server.join().unwrap();

    // It reads nothing, and does not close.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = format!("json+tcp://{}", silent.local_addr().unwrap());
    let ended = run(&at, &["--timeout", "1"], &[]);
    ends(&ended, 4, "by --timeout");
}

// Elsewhere the end of a stream cannot be seen before what stands unread before it.
#[cfg(target_os = "linux")]
#[test]
fn lines_that_the_server_never_read_are_exit_5() {
    use rustix::event::{PollFd, PollFlags, poll};

    for host in HOSTS {
        let (port, server) = one(host, |mut stream: TcpStream| {
            stream.write_all(WELCOME.as_bytes()).unwrap();
            stream.read_exact(&mut [0; 10]).unwrap();
            stream.write_all(JOINED.as_bytes()).unwrap();
            // The client has closed its side, and the rest is there, unread, when this closes.
            let mut fds = [PollFd::new(&stream, PollFlags::RDHUP)];
            poll(&mut fds, None).unwrap();
        });
        let mut ann = chat(&url("json+tcp", host, port), "ann", &[]);
        ann.say("one");
        let ended = ann.wait();
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(
            !ended.err.iter().any(|line| line.contains(READ)),
            "{ended:?}"
        );
        server.join().unwrap();
    }
}

#[test]
fn at_a_terminal_it_is_the_chat_that_one_knows() {
    let hub = Hub::start(&["json+tcp://[::1]:0"]);
    let mut bob = member(hub.url(), "bob");
    let args = [
        "chat",
        hub.url(),
        "-r",
        "lab",
        "-n",
        "ann",
        "--timeout",
        "3600",
    ];
    let mut ann = Terminal::start(&args, &[]);
    ann.shows("-- ann joined lab");
    ann.ends_in("lab>");
    bob.err("-- ann joined lab");
    bob.say("hello ann");
    ann.shows("[lab] bob: hello ann");
    ann.types("half");
    ann.ends_in("lab> half");
    bob.say("meanwhile");
    ann.shows("[lab] bob: meanwhile");
    ann.ends_in("lab> half");
    ann.types(" a line\r");
    // Sent, which is all that is known: no tick.
    ann.shows("[lab] ann: half a line");
    bob.out("[lab] ann: half a line");
    ann.types("/join den\r");
    ann.shows("-- ann joined den");
    ann.ends_in("den>");
    ann.types("/leave\r");
    ann.shows("-- ann left den");
    ann.ends_in(">");
    ann.types("lost\r");
    ann.shows("-- the line is not posted: you are in no room: /join ROOM first");
    ann.types("/dance\r");
    ann.shows("-- /dance is no command: /help lists them");
    ann.types("/help\r");
    ann.shows_part("there are no acknowledgements");
    ann.types("/quit\r");
    assert_eq!(ann.wait(), Some(0));
    ann.is_restored();
    let mut ann = Terminal::start(&args, &[]);
    ann.shows("-- ann joined lab");
    ann.ends_in("lab>");
    // Ctrl-D, which is a key once the prompt stands.
    ann.types("\x04");
    assert_eq!(ann.wait(), Some(0));
    ann.is_restored();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut ann = Terminal::start(&args, &[]);
        ann.shows("-- ann joined lab");
        ann.types("half a line");
        ann.ends_in("lab> half a line");
        ann.signal(signal);
        assert_eq!(ann.wait(), Some(0), "{signal:?}");
        ann.is_restored();
    }
}

#[test]
fn a_thousand_plain_members_of_one_room_are_served_at_once() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let hub = Hub::start(&[&url("json+tcp", host, 0)]);
        let (_, port) = hub.url().rsplit_once(':').unwrap();
        let Some(said) = thousand_print("many_rooms.py", &[host, port]) else {
            return;
        };
        assert_eq!(said, ["1000 told"]);
    }
}
