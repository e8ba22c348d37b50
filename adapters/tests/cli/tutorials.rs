//! What the socket tutorials show, with their plain Python clients against the hub.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Command;
use std::thread;

use halloo_std::socket::{Options, TcpListener, TcpStream};
use rustix::process::Signal;

use crate::process::{Hub, LONG, Running};
use crate::python::has_python;
use crate::room_chat;

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../examples/length_prefixed.rs"]
mod length_prefixed;

const PRESET: &str = include_str!("../../examples/tutorials.toml");

/// A script of tests/python with these arguments.
pub(crate) fn python(script: &str, args: &[&str]) -> Running {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python");
    let mut command = Command::new("python3");
    Running::spawn(command.arg("-Bu").arg(folder.join(script)).args(args))
}

/// What a script prints that must end well.
#[track_caller]
pub(crate) fn prints(script: &str, args: &[&str]) -> Vec<String> {
    let ended = python(script, args).wait();
    assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    ended.out
}

/// What a script of a thousand sockets prints; nothing where this user may not open so many.
#[track_caller]
pub(crate) fn thousand_print(script: &str, args: &[&str]) -> Option<Vec<String>> {
    let ended = python(script, &[args, &["1000"]].concat()).wait();
    if let [line] = &*ended.err
        && line.starts_with("skipped")
    {
        eprintln!("{line}");
        return None;
    }
    assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    Some(ended.out)
}

/// Host and port of a URL, as arguments.
fn place(url: &str) -> [String; 2] {
    let (_, place) = url.split_once("://").unwrap();
    let (place, _) = place.split_once('?').unwrap_or((place, ""));
    let address: SocketAddr = place.parse().unwrap();
    [address.ip().to_string(), address.port().to_string()]
}

/// The listeners of the preset, in its order, at free ports of `host`.
fn preset(host: &str) -> (tempfile::TempDir, Running, Vec<String>) {
    let mut text = String::new();
    let mut listeners = 0;
    for line in PRESET.lines() {
        match line.split_once("127.0.0.1:") {
            Some((scheme, rest)) if !line.trim_start().starts_with('#') => {
                let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                text += &format!("{scheme}{host}:0{rest}\n");
                listeners += 1;
            }
            _ => text += &format!("{line}\n"),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tutorials.toml");
    std::fs::write(&file, text).unwrap();
    let hub = Running::start(&[
        "serve",
        "--max-rooms",
        "8",
        "--config",
        file.to_str().unwrap(),
    ]);
    let url = |_| hub.out("listening on ").replace("listening on ", "");
    let urls = (0..listeners).map(url).collect();
    (dir, hub, urls)
}

#[test]
fn the_preset_serves_every_plain_client_over_both_families() {
    if !has_python() {
        return;
    }
    for host in ["127.0.0.1", "[::1]"] {
        let (_dir, _hub, urls) = preset(host);
        let at: Vec<_> = urls.iter().map(|url| place(url)).collect();
        let run = |script: &str, at: &[String; 2], more: &[&str]| {
            prints(script, &[&[&*at[0], &*at[1]], more].concat())
        };
        let echo = |at, prefix, threads| run("echo.py", at, &[prefix, threads]);
        assert_eq!(echo(&at[0], "Echo: ", "1"), ["all right"]);
        assert_eq!(echo(&at[0], "Echo: ", "20"), ["all right"]);
        let greeted = run("udp.py", &at[1], &["hi", "again"]);
        assert_eq!(greeted, ["Hello UDP Client!", "Hello UDP Client!"]);
        let echoed = run("udp.py", &at[2], &["one", "two"]);
        assert_eq!(echoed, ["UDP Echo: one", "UDP Echo: two"]);
        assert_eq!(echo(&at[3], "Non-blocking echo: ", "5"), ["all right"]);
        room_chat::replay(&at[4][0], &at[4][1]);
        let greeted = run("greeting.py", &at[5], &[]);
        assert_eq!(greeted, ["Hello from server!", "closed"]);
        assert_eq!(run("udp.py", &at[6], &["hi"]), ["Hello from UDP server!"]);
        assert_eq!(echo(&at[7], "", "20"), ["all right"]);
        let verbatim = ["as it is", "", "UDP Echo: too"];
        assert_eq!(run("udp.py", &at[8], &verbatim), verbatim);
    }
}

#[test]
fn a_thousand_plain_clients_are_served_at_once() {
    if !has_python() {
        return;
    }
    for host in ["127.0.0.1", "[::1]"] {
        let hub = Hub::start(&[&format!("echo+tcp://{host}:0?prefix=Non-blocking echo: ")]);
        let [host, port] = place(hub.url());
        let Some(said) = thousand_print("many.py", &[&host, &port, "Non-blocking echo: "]) else {
            return;
        };
        assert_eq!(said, ["1000 answered"]);
    }
}

#[test]
fn plain_clients_of_each_kind_of_unix_socket_are_served() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(9000);
    for kind in ["stream", "datagram", "seqpacket"] {
        let path = dir.path().join(kind);
        let path = path.to_str().unwrap();
        // Left over from a server that was killed.
        match kind {
            "datagram" => drop(UnixDatagram::bind(path).unwrap()),
            _ => drop(UnixListener::bind(path).unwrap()),
        }
        let url = format!("echo+unix:{path}?prefix=Echo: &type={kind}&mode=600");
        let hub = Hub::start(&[&url]);
        let mode = Path::new(path).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{kind}");
        let said = ["one", "two", "three", &long];
        let expected = said.map(|message| format!("Echo: {message}"));
        assert_eq!(
            prints("unix.py", &[&[kind, path][..], &said].concat()),
            expected,
            "{kind}"
        );
        let second = Running::start(&["serve", "--listen", &url]).wait();
        crate::data::check(&second, 2, "in use");
        hub.running.signal(Signal::TERM);
        assert_eq!(hub.running.wait().code, Some(0));
        assert!(!Path::new(path).exists(), "{kind}");
    }
}

#[test]
fn a_seqpacket_message_above_the_share_of_a_turn_ends_its_connection() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.sock");
    let path = path.to_str().unwrap();
    let _hub = Hub::start(&[&format!("echo+unix:{path}?type=seqpacket")]);
    let [most, above] = [16384, 16385].map(|len| "x".repeat(len));
    assert_eq!(prints("unix.py", &["seqpacket", path, &most]), [&*most]);
    let ended = python("unix.py", &["seqpacket", path, &above]).wait();
    assert_eq!(ended.out.concat(), "", "{ended:?}");
    assert_eq!(prints("unix.py", &["seqpacket", path, "hi"]), ["hi"]);
}

#[test]
fn messages_behind_their_length_go_both_ways_with_plain_python() {
    if !has_python() {
        return;
    }
    let options = Options::default();
    for host in ["127.0.0.1", "::1"] {
        let listener = TcpListener::bind((host, 0), &options).unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let ours = thread::spawn(move || length_prefixed::serve(&listener).unwrap());
        assert_eq!(prints("framed.py", &["ask", host, &port]), ["all right"]);
        ours.join().unwrap();

        let theirs = python("framed.py", &["serve", host]);
        let port: u16 = theirs.out("").parse().unwrap();
        let stream = TcpStream::connect((host, port), &options).unwrap();
        let mut messages = length_prefixed::Messages::new(stream);
        for message in [&b"hello"[..], b"", &[b'x'; 3000]] {
            messages.send(message).unwrap();
            let answer = messages.receive().unwrap();
            assert_eq!(answer, Some(message.to_ascii_uppercase()));
        }
        drop(messages);
        assert_eq!(theirs.wait().code, Some(0));
    }
}

/// Passes datagrams between two servers, each of which hears the other from one address, until one
/// of them is silent; how often they were answered.
fn talk(one: &str, other: &str) -> usize {
    let ends = [one, other].map(|url| {
        let [host, port] = place(url);
        let end = UdpSocket::bind((&*host, 0)).unwrap();
        end.connect(format!("{host}:{port}")).unwrap();
        end.set_read_timeout(Some(LONG)).unwrap();
        let fence = UdpSocket::bind((&*host, 0)).unwrap();
        fence.connect(end.peer_addr().unwrap()).unwrap();
        fence.set_read_timeout(Some(LONG)).unwrap();
        (end, fence)
    });
    let mut datagram = b"from a stranger".to_vec();
    let mut buf = [0; 65536];
    for round in 0..100_000 {
        let (end, fence) = &ends[round % 2];
        end.send(&datagram).unwrap();
        // Datagrams are answered in turn: an answer to this one comes first.
        fence.send(format!("fence {round}").as_bytes()).unwrap();
        fence.recv(&mut buf).unwrap();
        end.set_nonblocking(true).unwrap();
        match end.recv(&mut buf) {
            Ok(len) => datagram = buf[..len].to_vec(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return round,
            Err(e) => panic!("{e}"),
        }
    }
    panic!("{one} and {other} talk for ever");
}

#[test]
fn two_echo_servers_do_not_talk_for_ever() {
    let urls = [
        "echo+udp://127.0.0.1:0",
        "echo+udp://127.0.0.1:0?prefix=UDP Echo: ",
        "echo+udp://127.0.0.1:0?prefix=Echo: ",
        "echo+udp://0.0.0.0:0",
    ];
    let hubs = [Hub::start(&urls), Hub::start(&urls)];
    for one in &hubs[0].urls {
        for other in &hubs[1].urls {
            assert!(talk(one, other) < 4 * 1024, "{one} and {other}");
        }
    }
}
