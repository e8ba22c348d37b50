//! Colours: on a terminal alone, and not even there for whoever wants none.

use rustix::process::Signal;

use crate::process::{Hub, Running, fed, halloo};
use crate::servers::{HOSTS, answers_the_end, one, url};
use crate::terminal::Terminal;

const ESCAPE: u8 = 0x1b;

/// Whether the bytes choose a colour or a style.
fn is_styled(bytes: &[u8]) -> bool {
    let escapes = bytes.split(|&byte| byte == ESCAPE).skip(1);
    escapes
        .filter_map(|rest| rest.strip_prefix(b"["))
        .any(|rest| rest.iter().find(|b| b.is_ascii_alphabetic()) == Some(&b'm'))
}

#[test]
fn what_is_piped_has_no_escapes() {
    let hub = Hub::start(&["chat+tcp://127.0.0.1:0", "echo+tcp://127.0.0.1:0"]);
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let (port, server) = one(HOSTS[0], answers_the_end(b"plain"));
    let connected = url("tcp", HOSTS[0], port);
    let gone = url("http", HOSTS[0], 1);
    let chat = [
        "chat",
        &hub.urls[0],
        "-r",
        "lab",
        "-n",
        "ann",
        "--log",
        "trace",
    ];
    let commands: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["shout"],
        &["serve", "--listen", "nowhere"],
        &chat,
        &["echo", &hub.urls[1], "-c", "2", "-i", "1", "--log", "trace"],
        &["connect", &connected, "-v", "--log", "trace"],
        &["get", &gone, "--log", "trace"],
        &["ping", HOSTS[0], "-c", "1", "--log", "trace"],
        &["log", "verify", data],
        &["log", "dump", data],
        &["log", "repair", data],
        &["completions", "bash"],
        &["man"],
    ];
    let help = [
        "serve",
        "chat",
        "echo",
        "log",
        "connect",
        "get",
        "ping",
        "completions",
        "man",
    ];
    let help: Vec<_> = help.iter().map(|command| [command, "--help"]).collect();
    let help = help.iter().map(|args| &args[..]);
    for args in commands.iter().copied().chain(help) {
        let output = fed(args, b"one\n");
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8_lossy(&bytes);
            assert!(!bytes.contains(&ESCAPE), "{args:?}: {text}");
        }
    }
    server.join().unwrap();
    let hub = Running::start(&[
        "serve",
        "--listen",
        "echo+tcp://127.0.0.1:0",
        "--log",
        "trace",
    ]);
    hub.out("listening on ");
    hub.signal(Signal::TERM);
    let ended = hub.wait();
    assert!(
        !ended.err.concat().contains(char::from(ESCAPE)),
        "{ended:?}"
    );
}

/// What a terminal gets of a command that ends by itself.
fn shown(args: &[&str], env: &[(&str, &str)]) -> Vec<u8> {
    Terminal::start(args, env).rest()
}

#[test]
fn help_is_coloured_on_a_terminal_unless_no_color_is_set() {
    for args in [&["--help"][..], &["connect", "--help"], &["log", "--help"]] {
        assert!(is_styled(&shown(args, &[])), "{args:?}");
        let plain = shown(args, &[("NO_COLOR", "1")]);
        assert!(!plain.contains(&ESCAPE), "{args:?}");
        let dumb = shown(args, &[("TERM", "dumb"), ("CI", "true")]);
        assert!(!dumb.contains(&ESCAPE), "{args:?}");
        let forced = halloo(args).env("CLICOLOR_FORCE", "1").output().unwrap();
        assert!(!forced.stdout.contains(&ESCAPE), "{args:?}");
    }
}

#[test]
fn the_log_is_coloured_on_a_terminal_unless_no_color_is_set() {
    let logged = |env: &[(&str, &str)]| {
        let args = [
            "serve",
            "--listen",
            "echo+tcp://127.0.0.1:0",
            "--log",
            "trace",
        ];
        let mut hub = Terminal::start(&args, env);
        let all = hub.until_bytes(b"listening on ");
        assert!(String::from_utf8_lossy(&all).contains("halloo"), "{all:?}");
        hub.signal(Signal::TERM);
        [all, hub.rest()].concat()
    };
    assert!(is_styled(&logged(&[])));
    assert!(!logged(&[("NO_COLOR", "1")]).contains(&ESCAPE));
    assert!(!logged(&[("TERM", "dumb")]).contains(&ESCAPE));
}

#[test]
fn errors_have_no_colours_anywhere() {
    for args in [
        &["shout"][..],
        &["connect", "nowhere"],
        &["get", "http://127.0.0.1:1/"],
    ] {
        let all = shown(args, &[]);
        assert!(!all.is_empty() && !all.contains(&ESCAPE), "{args:?}");
    }
}
