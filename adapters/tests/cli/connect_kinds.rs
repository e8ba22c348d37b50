//! The plain client over the other kinds of socket: Unix datagrams and messages, Bluetooth; from an
//! address of its own, and waiting for a connection.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use halloo_std::socket::{Options, UnixDatagram, UnixSeqpacket};
use rustix::process::Signal;

use crate::process::{Hub, LONG, Running, fed, halloo};
use crate::python::has_python;
use crate::servers::{HOSTS, one, url};
use crate::terminal::Terminal;

/// An echo server of the tutorial's kind at a path.
const UNIX: &str = "\
import socket, sys
path, kind = sys.argv[1:]
server = socket.socket(socket.AF_UNIX, getattr(socket, 'SOCK_' + kind.upper()))
server.bind(path)
if kind == 'dgram':
    print('ready', flush=True)
    while True:
        data, address = server.recvfrom(65536)
        server.sendto(b'Echo: ' + data, address)
server.listen(5)
print('ready', flush=True)
while True:
    client, address = server.accept()
    while data := client.recv(65536):
        client.send(b'Echo: ' + data)
    client.close()
";

fn python(path: &Path, kind: &str) -> Running {
    // As Python's constants have it.
    let kind = if kind == "datagram" { "dgram" } else { kind };
    let mut command = Command::new("python3");
    let command = command.args(["-c", UNIX]).arg(path).arg(kind);
    let server = Running::spawn(command);
    server.out("ready");
    server
}

fn names(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn python_servers_of_each_kind_of_unix_socket_answer() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let own = tempfile::tempdir().unwrap();
    for kind in ["stream", "datagram", "seqpacket"] {
        let path = dir.path().join(kind);
        let _server = python(&path, kind);
        let url = format!("unix:{}?type={kind}", path.display());
        let mut command = halloo(&["connect", &url, "--interactive"]);
        let mut client = Running::spawn(command.env("TMPDIR", own.path()));
        for word in ["one", "two", "grüße"] {
            client.say(word);
            assert_eq!(client.out(""), format!("Echo: {word}"), "{kind}");
        }
        client.say("quit");
        let ended = client.wait();
        assert_eq!((ended.code, ended.out.len()), (Some(0), 0), "{ended:?}");
        assert_eq!(names(own.path()), [""; 0], "{kind}");
    }
}

#[test]
fn the_hub_answers_each_kind_of_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["stream", "datagram", "seqpacket"] {
        let url = format!("echo+unix:{}?type={kind}", dir.path().join(kind).display());
        let hub = Hub::start(&[&url]);
        let long = "x".repeat(9000) + "\n";
        let output = fed(&["connect", hub.url(), "--idle", "500"], long.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stdout == long.as_bytes(), "{kind}");
    }
}

#[test]
fn a_datagram_client_takes_its_path_along_when_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let own = tempfile::tempdir().unwrap();
    let path = dir.path().join("server");
    let (server, _file) = UnixDatagram::bind(&path, &Options::default()).unwrap();
    server.set_read_timeout(Some(LONG)).unwrap();
    let url = format!("unix:{}?type=datagram", path.display());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut command = halloo(&["connect", &url, "-v"]);
        let mut client = Running::spawn(command.env("TMPDIR", own.path()));
        client.err("* created: a Unix datagram socket");
        client.err(&format!("* bound: to {}/halloo-", own.path().display()));
        client.err("* connected: to ");
        client.say("one");
        let (len, from) = server.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(len, 4);
        let name = from.unwrap().file_name().unwrap().to_owned();
        assert_eq!(names(own.path()), [name]);
        client.signal(signal);
        assert_eq!(client.wait().code, None, "it dies of the signal");
        assert_eq!(names(own.path()), [""; 0]);
    }
}

#[test]
fn a_unix_server_that_is_not_there_is_exit_3_for_each_kind() {
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("stale");
    drop(std::os::unix::net::UnixDatagram::bind(&stale).unwrap());
    for kind in ["stream", "datagram", "seqpacket"] {
        for path in [dir.path().join("none"), stale.clone()] {
            let url = format!("unix:{}?type={kind}", path.display());
            let ended = Running::start(&["connect", &url]).wait();
            assert_eq!(ended.code, Some(3), "{url}: {ended:?}");
        }
    }
}

#[test]
fn the_states_of_unix_sockets_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["stream", "seqpacket"] {
        let path = dir.path().join(kind);
        let path = path.display();
        let hub = Hub::start(&[&format!("echo+unix:{path}?type={kind}")]);
        let output = fed(&["connect", hub.url(), "-v"], b"one\n");
        let told = String::from_utf8(output.stderr).unwrap();
        let expected = [
            format!("* created: a Unix {kind} socket"),
            format!("* connecting: to {path}"),
            format!("* established: from no path of its own to {path}"),
            "* half-closed: the input has ended, and nothing more is sent".into(),
            "* half-closed: the other end sends nothing more".into(),
            "* closed: 4 bytes sent, 4 received".into(),
        ];
        assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn one_connection_is_waited_for_with_each_state_told() {
    for host in HOSTS {
        let mut server = Running::start(&["connect", &url("tcp", host, 0), "--listen", "-v"]);
        server.err("* created: a TCP socket");
        server.err("* bound: to ");
        let line = server.err("* listening: at ");
        let at = line.split(' ').nth(3).unwrap().trim_end_matches(',');
        let mut client = TcpStream::connect(at).unwrap();
        let own = client.local_addr().unwrap();
        assert_eq!(
            server.err("* established"),
            format!("* established: from {at} to {own}")
        );
        // It waits for one alone.
        assert!(TcpStream::connect(at).is_err());
        client.write_all(b"hi\n").unwrap();
        assert_eq!(server.out(""), "hi");
        server.say("heard");
        server.end();
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "heard\n");
        drop(client);
        server.err("* half-closed: the input has ended");
        server.err("* half-closed: the other end");
        server.err("* closed: 6 bytes sent, 3 received");
        assert_eq!(server.wait().code, Some(0));
    }
}

#[test]
fn one_connection_is_waited_for_at_a_path() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["stream", "seqpacket"] {
        let path = dir.path().join(kind);
        let url = format!("unix:{}?type={kind}", path.display());
        let server = Running::start(&["connect", &url, "-l", "-v"]);
        server.err("* listening: at ");
        match kind {
            "stream" => UnixStream::connect(&path)
                .unwrap()
                .write_all(b"hi\n")
                .unwrap(),
            _ => {
                let client = UnixSeqpacket::connect(&path, &Options::default()).unwrap();
                assert_eq!(client.send(b"hi\n").unwrap(), 3);
            }
        }
        assert_eq!(server.out(""), "hi", "{kind}");
        server.err("* half-closed: the other end");
        assert_eq!(server.wait().code, Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn nobody_who_connects_is_exit_4() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    for place in [
        "tcp://127.0.0.1:0",
        "tcp://[::1]:0",
        &format!("unix:{}", path.display()),
    ] {
        let ended = Running::start(&["connect", place, "-l", "-v", "--timeout", "20"]).wait();
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(
            ended.err.contains(&"* closed: nobody connected".into()),
            "{ended:?}"
        );
        let error = ended.err.last().unwrap();
        assert!(error.starts_with("error: nobody connected to "), "{error}");
    }
    let ended = Running::start(&["connect", "udp://127.0.0.1:0", "-l"]).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.err[0].contains("datagrams make no connection"),
        "{ended:?}"
    );
}

#[test]
fn a_connection_comes_from_the_address_that_was_asked_for() {
    for (host, own, bad) in [
        ("127.0.0.1", "127.0.0.2", "192.0.2.1"),
        ("::1", "::1", "2001:db8::1"),
    ] {
        let (port, server) = one(host, |stream| stream.peer_addr().unwrap());
        let place = url("tcp", host, port);
        let ended = Running::start(&["connect", &place, "--bind", own, "-v"]).wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let from = server.join().unwrap();
        assert_eq!(from.ip().to_string(), own);
        assert!(
            ended
                .err
                .contains(&format!("* bound: to {from}, by --bind")),
            "{ended:?}"
        );

        let udp = UdpSocket::bind((host, 0)).unwrap();
        let place = url("udp", host, udp.local_addr().unwrap().port());
        // A port that was free a moment ago.
        let free = UdpSocket::bind((own, 0)).unwrap().local_addr().unwrap();
        let args = ["connect", &place, "-b", &free.to_string(), "--idle", "1"];
        assert_eq!(fed(&args, b"hi").status.code(), Some(0));
        assert_eq!(udp.recv_from(&mut [0; 16]).unwrap(), (3, free));

        for carrier in ["tcp", "udp"] {
            let place = url(carrier, host, 9);
            let ended = Running::start(&["connect", &place, "-b", bad]).wait();
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.err[0].contains(bad), "{ended:?}");
            assert!(
                ended.err[0].contains("is no address of this machine"),
                "{ended:?}"
            );
        }
    }
    let ended = Running::start(&["connect", "tcp://127.0.0.1:9", "-b", "here"]).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(
        ended.err[0].contains("a good one is 192.0.2.1"),
        "{ended:?}"
    );
}

#[test]
fn empty_datagrams_are_sent_and_shown() {
    for host in HOSTS {
        let hub = Hub::start(&[&url("echo+udp", host, 0)]);
        for (option, input, sent, shown) in [
            ("--interactive", "\none\n", 4, "one\n"),
            ("--no-newline", "\none\n", 3, "one"),
            ("--crlf", "\none\n", 7, "\r\none\r\n"),
            ("--hex", "\n48 69\n", 2, "\n48 69\n"),
        ] {
            let args = ["connect", hub.url(), option, "-v", "--idle", "500"];
            let output = fed(&args, input.as_bytes());
            let told = String::from_utf8(output.stderr).unwrap();
            let counts = format!("* closed: {sent} bytes sent, {sent} received");
            assert!(told.contains(&counts), "{option}: {told}");
            assert_eq!(String::from_utf8(output.stdout).unwrap(), shown);
        }
        let udp = UdpSocket::bind((host, 0)).unwrap();
        let place = url("udp", host, udp.local_addr().unwrap().port());
        let mut terminal = Terminal::start(&["connect", &place], &[]);
        for (count, line, len) in [(1, "\n", 0), (2, "x\n", 2)] {
            terminal.types(line);
            let (received, from) = udp.recv_from(&mut [0; 16]).unwrap();
            assert_eq!(received, len);
            udp.send_to(b"", from).unwrap();
            let is_shown = |row: &&String| **row == "(an empty datagram)";
            terminal.until("empty datagram", |rows| {
                rows.iter().filter(is_shown).count() == count
            });
        }
        terminal.types("quit\n");
        assert_eq!(terminal.wait(), Some(0));
    }
}

#[test]
fn where_the_kernel_has_no_bluetooth_connect_says_so() {
    if Path::new("/proc/net/rfcomm").exists() {
        eprintln!("skipped: this kernel has Bluetooth");
        return;
    }
    for more in [&[][..], &["--listen"]] {
        let args = [&["connect", "bluetooth://AA:BB:CC:DD:EE:FF/1"], more].concat();
        let ended = Running::start(&args).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        for part in [
            "this kernel has no Bluetooth sockets",
            "AA:BB:CC:DD:EE:FF/1",
        ] {
            assert!(ended.err[0].contains(part), "{ended:?}");
        }
    }
}

#[test]
fn what_is_no_bluetooth_address_is_exit_2_with_a_good_one() {
    for bad in [
        "AA:BB:CC:DD:EE:FF",
        "AA:BB:CC:DD:EE:FF/31",
        "localhost/1",
        "",
    ] {
        let ended = Running::start(&["connect", &format!("bluetooth://{bad}")]).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.err[0].contains("a good one is AA:BB:CC:DD:EE:FF/1"),
            "{ended:?}"
        );
    }
}

#[test]
fn another_kind_of_unix_socket_than_the_server_has_is_exit_2_with_the_option_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let kinds = ["stream", "datagram", "seqpacket"];
    for kind in kinds {
        let path = dir.path().join(kind).display().to_string();
        let _hub = Hub::start(&[&format!("echo+unix:{path}?type={kind}")]);
        for other in kinds.iter().filter(|&&other| other != kind) {
            let url = format!("unix:{path}?type={other}");
            let ended = Running::start(&["connect", &url, "-v"]).wait();
            assert_eq!(ended.code, Some(2), "{ended:?}");
            let [.., closed, error] = &ended.err[..] else {
                panic!("{ended:?}");
            };
            assert_eq!(closed, "* closed: never connected", "{other}");
            for part in [&path, "another kind of socket", "?type="] {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}

#[test]
fn who_waits_at_a_path_takes_it_along_when_interrupted_and_no_path_of_another() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["stream", "seqpacket"] {
        let path = dir.path().join(kind);
        let url = format!("unix:{}?type={kind}", path.display());
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let server = Running::start(&["connect", &url, "-l", "-v"]);
            server.err("* listening: at ");
            server.signal(signal);
            assert_eq!(server.wait().code, None, "it dies of the signal");
            assert!(!path.exists(), "{kind}, {signal:?}");
        }
    }
    let path = dir.path().join("stream");
    let first = Running::start(&["connect", &format!("unix:{}", path.display()), "-l", "-v"]);
    first.err("* listening: at ");
    let _client = UnixStream::connect(&path).unwrap();
    first.err("* established: ");
    let _second = UnixListener::bind(&path).unwrap();
    first.signal(Signal::INT);
    assert_eq!(first.wait().code, None);
    assert!(path.exists());
}

#[test]
fn a_path_that_is_in_use_is_told_without_a_word_of_ports() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _taken = UnixListener::bind(&path).unwrap();
    let ended = Running::start(&["connect", &format!("unix:{}", path.display()), "-l"]).wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let error = &ended.err[0];
    assert!(
        error.contains("socket is in use") && !error.contains("port"),
        "{error}"
    );
}

#[test]
fn an_address_to_come_from_is_refused_where_there_is_none() {
    for url in [
        "unix:/none",
        "unix:/none?type=datagram",
        "bluetooth://AA:BB:CC:DD:EE:FF/1",
    ] {
        let ended = Running::start(&["connect", url, "--bind", "127.0.0.1"]).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.err[0].contains("--bind is for tcp and udp"),
            "{ended:?}"
        );
    }
}

#[test]
fn a_link_local_address_without_its_interface_is_told_so() {
    for carrier in ["tcp", "udp"] {
        let ended = Running::start(&["connect", &format!("{carrier}://[fe80::1]:80")]).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err[0].contains("%interface"), "{ended:?}");
    }
}

#[test]
fn what_a_client_said_before_it_was_gone_again_is_shown() {
    for host in HOSTS {
        let server = Running::start(&["connect", &url("tcp", host, 0), "--listen", "-v"]);
        let line = server.err("* listening: at ");
        let at = line.split(' ').nth(3).unwrap().trim_end_matches(',');
        server.signal(Signal::STOP);
        let mut client = TcpStream::connect(at).unwrap();
        client.write_all(b"busy\n").unwrap();
        let linger = socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO));
        linger.unwrap();
        drop(client);
        server.signal(Signal::CONT);
        assert_eq!(server.out(""), "busy");
        assert_eq!(server.wait().code, Some(5));
    }
}
