//! `halloo echo` and `halloo connect` against the servers of tests/python, each as it stands there.

use std::path::Path;
use std::process::Command;

use crate::process::Running;
use crate::python::has_python;
use crate::servers::{HOSTS, url};

/// Script, carrier, and what stands before what comes back.
const ECHO: [(&str, &str, &str); 4] = [
    ("blocking_server.py", "tcp", ""),
    ("threaded_server.py", "tcp", "Echo: "),
    ("select_server.py", "tcp", "Non-blocking echo: "),
    ("udp_echo_server.py", "udp", "UDP Echo: "),
];

/// A script of tests/python with these arguments.
pub(crate) fn script(name: &str, args: &[&str]) -> Running {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new("python3");
    Running::spawn(command.arg("-Bu").arg(folder.join(name)).args(args))
}

/// A server that prints its port, and its URL.
pub(crate) fn server(name: &str, carrier: &str, host: &str) -> (Running, String) {
    let server = script(name, &[host]);
    let port = server.out("");
    (server, url(carrier, host, port))
}

#[test]
fn echo_gets_probes_and_lines_back_from_each_python_server() {
    if !has_python() {
        return;
    }
    for (name, carrier, prefix) in ECHO {
        for host in HOSTS {
            let (_server, at) = server(name, carrier, host);
            let at = format!("{at}?prefix={prefix}");
            let ended = Running::start(&["echo", &at, "--count", "3", "--interval", "0"]).wait();
            assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
            assert!(
                ended.out[3].starts_with("3 sent, 3 received, 0 lost"),
                "{name}: {ended:?}"
            );
            let mut lines = Running::start(&["echo", &at, "--lines"]);
            for word in ["one", "", "grüße 🙂", &"x".repeat(900)] {
                lines.say(word);
                assert_eq!(lines.out(""), format!("{prefix}{word}"), "{name}");
            }
            let ended = lines.wait();
            assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
        }
    }
}

#[test]
fn connect_talks_with_each_python_server_and_the_next_client_is_served_too() {
    if !has_python() {
        return;
    }
    for (name, carrier, prefix) in ECHO {
        for host in HOSTS {
            let (_server, at) = server(name, carrier, host);
            for _ in 0..2 {
                let mut client = Running::start(&["connect", &at, "--interactive"]);
                for word in ["one", "two", "grüße 🙂"] {
                    client.say(word);
                    assert_eq!(client.out(""), format!("{prefix}{word}"), "{at}");
                }
                client.say("quit");
                let ended = client.wait();
                assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
            }
        }
    }
}

#[test]
fn a_client_of_a_server_for_one_waits_until_the_one_before_is_gone() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let (_server, at) = server("blocking_server.py", "tcp", host);
        let mut first = Running::start(&["connect", &at, "--interactive"]);
        first.say("first");
        first.out("first");
        let mut second = Running::start(&["connect", &at, "--interactive", "-v"]);
        second.err("* established");
        second.say("second");
        first.say("still first");
        first.out("still first");
        first.say("quit");
        assert_eq!(first.wait().code, Some(0));
        assert_eq!(second.out(""), "second");
    }
}

#[test]
fn each_datagram_of_connect_is_greeted_by_a_python_server() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let (_server, at) = server("udp_greeting_server.py", "udp", host);
        // The greeting ends in no newline, and a pipe gets the bytes as they came.
        let output = crate::process::fed(&["connect", &at], b"hi\nagain\n");
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(0), &b"Hello UDP Client!Hello UDP Client!"[..]),
            "{output:?}"
        );
    }
}
