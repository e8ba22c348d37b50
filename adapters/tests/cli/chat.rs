//! Chat with pipes: every line once, and a good end only when all of them are acknowledged.

use std::net::TcpListener;
use std::process::Stdio;

use rustix::process::Signal;

use crate::process::{Hub, Running, halloo};

fn chat(url: &str, name: &str, more: &[&str]) -> Running {
    let args = ["chat", url, "--room", "lab", "--name", name];
    Running::start(&[&args, more].concat())
}

#[test]
fn every_piped_line_is_acknowledged_and_seen_once_in_order() {
    let hub = Hub::tcp();
    let reader = chat(hub.url(), "bob", &["--follow"]);
    reader.err("you are in lab, 1 here");
    let mut writer = chat(hub.url(), "ann", &[]);
    for number in 0..300 {
        writer.say(&format!("line {number}"));
    }
    let ended = writer.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected: Vec<_> = (0..300).map(|n| format!("[lab] ann: line {n}")).collect();
    assert_eq!(ended.out, expected);
    for line in expected {
        assert_eq!(reader.out(""), line);
    }
    reader.signal(Signal::TERM);
    assert_eq!(reader.wait().out, [""; 0]);
}

#[test]
fn over_udp_every_piped_line_is_acknowledged_and_seen_once_in_order() {
    let hub = Hub::start(&["chat+udp://127.0.0.1:0"]);
    let reader = chat(hub.url(), "bob", &["--follow"]);
    reader.err("you are in lab, 1 here");
    let mut writer = chat(hub.url(), "ann", &[]);
    for number in 0..50 {
        writer.say(&format!("line {number}"));
    }
    let ended = writer.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expected: Vec<_> = (0..50).map(|n| format!("[lab] ann: line {n}")).collect();
    assert_eq!(ended.out, expected);
    for line in expected {
        assert_eq!(reader.out(""), line);
    }
}

#[test]
fn a_pipe_is_posted_to_its_end_though_nobody_reads_the_output() {
    let hub = Hub::tcp();
    let reader = chat(hub.url(), "bob", &["--follow"]);
    reader.err("you are in lab");
    let mut command = halloo(&["chat", hub.url(), "-r", "lab", "-n", "ann"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..100 {
        use std::io::Write;
        writeln!(stdin, "{number}").unwrap();
    }
    drop(stdin);
    assert_eq!(crate::process::wait(&mut child).code(), Some(0));
    for number in 0..100 {
        assert_eq!(reader.out(""), format!("[lab] ann: {number}"));
    }
}

#[test]
fn history_is_shown_on_demand_and_commands_work_in_a_pipe() {
    let hub = Hub::tcp();
    let mut ann = chat(hub.url(), "ann", &[]);
    for line in ["one", "two", "/who"] {
        ann.say(line);
    }
    assert_eq!(ann.wait().out.len(), 3);
    let ended = chat(hub.url(), "bob", &["--history", "2"]).wait();
    assert_eq!(ended.out, ["[lab] ann: two", "[lab] ann: /who"]);
    let mut bob = chat(hub.url(), "bob", &["--commands"]);
    for line in [
        "/join den",
        "hello",
        "/leave",
        "back",
        "//slash",
        "/quit",
        "never",
    ] {
        bob.say(line);
    }
    let ended = bob.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let mut out = ended.out;
    out.sort();
    assert_eq!(
        out,
        ["[den] bob: hello", "[lab] bob: /slash", "[lab] bob: back"]
    );
}

#[test]
fn what_could_steer_a_terminal_is_shown_escaped() {
    let hub = Hub::tcp();
    let reader = chat(hub.url(), "bob", &["--follow"]);
    reader.err("you are in lab");
    let mut writer = chat(hub.url(), "ann", &[]);
    writer.say("\x1b[2J\x07\u{202e}");
    writer.wait();
    let line = reader.out("[lab] ann");
    assert_eq!(line, "[lab] ann: \\u{1b}[2J\\u{7}\\u{202e}");
}

#[test]
fn a_hub_that_is_started_again_is_joined_again_and_gets_what_was_open() {
    let mut hub = Hub::tcp();
    let url = hub.url().to_string();
    let mut ann = chat(&url, "ann", &[]);
    ann.say("before");
    ann.out("before");
    hub.running.signal(Signal::KILL);
    ann.err("connection lost, connecting again: ");
    ann.say("between");
    hub = Hub::start(&[&url]);
    ann.err("connected again");
    assert_eq!(ann.out(""), "[lab] ann: between");
    let ended = ann.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let seen = chat(hub.url(), "bob", &["--history", "9"]).wait();
    assert_eq!(seen.out, ["[lab] ann: between"]);
}

#[test]
fn a_pipe_whose_hub_stays_away_ends_badly_and_says_what_is_open() {
    let hub = Hub::tcp();
    let mut ann = chat(hub.url(), "ann", &["--timeout", "1"]);
    ann.err("you are in lab");
    let at = hub.url().trim_start_matches("chat+tcp://").to_string();
    hub.running.signal(Signal::KILL);
    ann.err("connection lost");
    drop(hub);
    // Nobody else gets the port, and whoever connects is not answered.
    let _silent = TcpListener::bind(&at).unwrap();
    ann.say("one");
    let ended = ann.err("error: ");
    assert!(ended.contains("1 post was not acknowledged"), "{ended}");
    let code = ann.wait().code;
    assert!(matches!(code, Some(3..=5)), "{code:?}");
}

#[test]
fn an_interrupted_pipe_ends_badly_though_what_was_read_is_acknowledged() {
    let hub = Hub::tcp();
    let mut ann = chat(hub.url(), "ann", &[]);
    ann.say("one");
    ann.out("one");
    ann.signal(Signal::INT);
    assert!(ann.err("error: ").contains("before the input ended"));
    assert_eq!(ann.wait().code, Some(1));
    // One that stays to listen has nothing to lose.
    let bob = chat(hub.url(), "bob", &["--follow"]);
    bob.err("you are in lab");
    let mut bob = bob;
    bob.end();
    bob.signal(Signal::INT);
    assert_eq!(bob.wait().code, Some(0));
}
