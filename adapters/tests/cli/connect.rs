//! The plain client against plain servers.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use halloo_std::socket::{Options, TcpListener, TcpStream};

use crate::process::{Hub, Running, fed, halloo, wait};
use crate::python::has_python;
use crate::servers::{
    DATAGRAMS, GREETING, HOSTS, SELECT, THREADED, answers_the_end, one, python, url,
};
use crate::terminal::Terminal;

#[test]
fn a_python_greeting_server_is_heard_to_its_end() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let (_server, url) = python(GREETING, "tcp", host);
        let mut client = Running::start(&["connect", &url]);
        client.say("hi");
        assert_eq!(client.out(""), "Hello from server!");
        // The input is open still: the other end's end is enough.
        let ended = client.wait();
        assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    }
}

#[test]
fn python_echo_servers_answer_line_by_line_and_quit_ends() {
    if !has_python() {
        return;
    }
    for (code, carrier, prefix) in [
        (THREADED, "tcp", "Echo: "),
        (SELECT, "tcp", "Non-blocking echo: "),
        (DATAGRAMS, "udp", "UDP Echo: "),
    ] {
        for host in HOSTS {
            let (_server, url) = python(code, carrier, host);
            let mut both = [0, 1].map(|_| Running::start(&["connect", &url, "--interactive"]));
            for word in ["one", "two", "grüße 🙂"] {
                for client in &mut both {
                    client.say(word);
                    assert_eq!(client.out(""), format!("{prefix}{word}"), "{url}");
                }
            }
            for mut client in both {
                // In one write, since nobody reads behind `quit`.
                let stdin = client.stdin.as_mut().unwrap();
                stdin.write_all(b"quit\nnot sent\n").unwrap();
                let ended = client.wait();
                assert_eq!(
                    (ended.code, ended.out.len()),
                    (Some(0), 0),
                    "{url}: {ended:?}"
                );
            }
        }
    }
}

#[test]
fn piped_bytes_go_and_come_back_as_they_are() {
    let hub = Hub::start(&["echo+tcp://127.0.0.1:0", "echo+tcp://[::1]:0"]);
    let bytes: Vec<u8> = (0..1_000_003_u32).map(|n| (n * 7 % 251) as u8).collect();
    for url in &hub.urls {
        for input in [&bytes[..], b"one\nquit\ntwo", b"", b"\x1b[2J\xff"] {
            let output = fed(&["connect", url], input);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            assert!(output.stdout == input, "{url}: {} bytes", input.len());
        }
    }
}

#[test]
fn an_output_that_is_set_not_to_block_gets_all_of_it() {
    let bytes = vec![b'x'; 1_000_000];
    for args in [&["connect"][..], &["get"]] {
        let sent = bytes.clone();
        let (port, server) = one("127.0.0.1", move |mut stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            stream.write_all(&sent).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
        });
        let scheme = if args == ["get"] { "http" } else { "tcp" };
        let at = url(scheme, "127.0.0.1", port);
        let (mut read, write) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&write, true).unwrap();
        let mut child = halloo(&[args, &[&at]].concat())
            .stdin(Stdio::null())
            .stdout(write)
            .spawn()
            .unwrap();
        let mut got = Vec::new();
        read.read_to_end(&mut got).unwrap();
        server.join().unwrap();
        assert_eq!(wait(&mut child).code(), Some(0), "{args:?}");
        assert!(got.len() >= bytes.len(), "{args:?}: {}", got.len());
    }
}

#[test]
fn the_end_of_the_input_closes_one_side_and_the_answer_is_still_read() {
    for host in HOSTS {
        let (port, server) = one(host, answers_the_end(b"all of it"));
        let output = fed(&["connect", &url("tcp", host, port)], b"one\ntwo");
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(0), &b"all of it"[..])
        );
        assert_eq!(server.join().unwrap(), b"one\ntwo");
    }
}

#[test]
fn piped_input_goes_on_when_the_other_end_has_closed_its_side() {
    let input = vec![b'x'; 10_000_000];
    for host in HOSTS {
        let (port, server) = one(host, |mut stream| {
            stream.write_all(b"send it").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all.len()
        });
        let output = fed(&["connect", &url("tcp", host, port)], &input);
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(0), &b"send it"[..])
        );
        assert_eq!(server.join().unwrap(), input.len());
    }
}

#[test]
fn piped_input_that_pauses_after_the_other_end_has_closed_is_not_cut_off_in_silence() {
    let (port, server) = one("::1", |mut stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        io::copy(&mut stream, &mut io::sink()).unwrap()
    });
    let at = url("tcp", "::1", port);
    let mut client = Running::start(&["connect", &at, "--idle", "2000"]);
    let mut stdin = client.stdin.take().unwrap();
    // More than all buffers on the way hold, so some of it is sent after that end.
    let feeder = thread::spawn(move || {
        stdin.write_all(&vec![b'x'; 30_000_000]).unwrap();
        stdin
    });
    let told = client.err("error: ");
    assert!(told.contains("allow more with --idle"), "{told}");
    assert_eq!(client.wait().code, Some(5));
    // The input was open until now.
    drop(feeder.join().unwrap());
    assert_eq!(server.join().unwrap(), 30_000_000);
}

#[test]
fn piped_input_that_nobody_takes_any_more_is_exit_5() {
    for host in HOSTS {
        let (port, server) = one(host, drop);
        let patient = ["--idle", "600000"];
        let at = url("tcp", host, port);
        let mut client = Running::start(&[&["connect", &at, "-v"][..], &patient].concat());
        client.err("* half-closed: the other end sends nothing more");
        server.join().unwrap();
        // In one write, since nobody reads after it.
        let stdin = client.stdin.as_mut().unwrap();
        stdin.write_all(b"one\n").unwrap();
        client.err("* closed: 4 bytes sent, 0 received");
        let ended = client.wait();
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(
            ended.err[0].contains("before all of the input"),
            "{ended:?}"
        );
    }
}

#[test]
fn what_was_said_before_a_reset_is_shown_and_the_reset_is_exit_5() {
    for host in HOSTS {
        let (port, server) = one(host, |mut stream| {
            stream.read_exact(&mut [0; 1]).unwrap();
            stream.write_all(b"enough").unwrap();
            // What is closed with bytes unread is reset.
        });
        let output = fed(&["connect", &url("tcp", host, port)], &[b'x'; 10_000_000]);
        server.join().unwrap();
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(5), &b"enough"[..])
        );
    }
}

#[test]
fn lines_are_sent_with_the_end_that_was_asked_for() {
    for (option, input, expected) in [
        (
            "--crlf",
            &b"one\ntwo\r\nquit"[..],
            &b"one\r\ntwo\r\nquit\r\n"[..],
        ),
        ("--no-newline", b"one\ntwo", b"onetwo"),
        ("--interactive", b"one\nquit\ntwo", b"one\n"),
        ("--hex", b"48 65\n\n6C6c 00 ff", b"Hell\x00\xff"),
    ] {
        let (port, server) = one("127.0.0.1", answers_the_end(b""));
        let output = fed(&["connect", &url("tcp", "127.0.0.1", port), option], input);
        assert_eq!(output.status.code(), Some(0), "{option}: {output:?}");
        assert_eq!(server.join().unwrap(), expected, "{option}");
    }
}

#[test]
fn what_comes_is_shown_in_hex() {
    let (port, server) = one("127.0.0.1", answers_the_end(b"0123456789abcdef\x00\xff"));
    let output = fed(&["connect", &url("tcp", "127.0.0.1", port), "-x"], b"");
    let shown = "30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66\n00 ff\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), shown);
    server.join().unwrap();
    let hub = Hub::start(&["echo+udp://127.0.0.1:0"]);
    let mut client = Running::start(&["connect", hub.url(), "-x"]);
    client.say("4");
    let ended = client.wait();
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.err[0].contains("line 1 is no hex"), "{ended:?}");
}

#[test]
fn at_a_terminal_control_bytes_are_escaped_and_quit_ends() {
    let (port, server) = one("127.0.0.1", |mut stream| {
        let mut line = [0; 3];
        stream.read_exact(&mut line).unwrap();
        // A character in two pieces, and what would clear the screen.
        stream.write_all(b"\x1b[2Jgr\xc3").unwrap();
        stream.write_all(b"\xbc\xc3\x9fe\n").unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        (line, rest)
    });
    let mut terminal = Terminal::start(&["connect", &url("tcp", "127.0.0.1", port)], &[]);
    terminal.types("hi\n");
    terminal.shows("\\u{1b}[2Jgrüße");
    terminal.types("quit\n");
    assert_eq!(terminal.wait(), Some(0));
    assert_eq!(server.join().unwrap(), (*b"hi\n", Vec::new()));
}

#[test]
fn at_a_terminal_ctrl_d_closes_one_side_and_the_last_line_is_ended() {
    let (port, server) = one("::1", answers_the_end(b"bye"));
    let mut terminal = Terminal::start(&["connect", &url("tcp", "::1", port), "-v"], &[]);
    terminal.shows_part("* established: from [::1]:");
    terminal.types("one\n\x04");
    terminal.shows_part("* half-closed: the input has ended");
    terminal.shows("bye");
    terminal.shows_part("* closed: 4 bytes sent, 3 received");
    assert_eq!(terminal.wait(), Some(0));
    assert_eq!(server.join().unwrap(), b"one\n");
}

#[test]
fn the_states_of_a_socket_are_told_with_its_addresses() {
    for host in HOSTS {
        let (port, server) = one(host, |mut stream| {
            let peer = stream.peer_addr().unwrap();
            let local = stream.local_addr().unwrap();
            stream.read_to_end(&mut Vec::new()).unwrap();
            (peer, local)
        });
        let ended = Running::start(&["connect", &url("tcp", host, port), "-v"]).wait();
        let (client, server) = server.join().unwrap();
        let family = if host.contains(':') { "IPv6" } else { "IPv4" };
        let expected = [
            format!("* created: a TCP socket, {family}"),
            format!("* bound: to {client}, by connecting"),
            format!("* connecting: to {server}"),
            format!("* established: from {client} to {server}"),
            "* half-closed: the input has ended, and nothing more is sent".into(),
            "* half-closed: the other end sends nothing more".into(),
            "* closed: 0 bytes sent, 0 received".into(),
        ];
        assert_eq!(ended.err, expected);
    }
}

#[test]
fn a_connection_that_is_refused_is_told_as_never_connected() {
    for host in HOSTS {
        let gone = std::net::TcpListener::bind((host, 0)).unwrap();
        let at = gone.local_addr().unwrap();
        drop(gone);
        let ended = Running::start(&["connect", &format!("tcp://{at}"), "-v"]).wait();
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let [.., connecting, closed, _error] = &ended.err[..] else {
            panic!("{ended:?}");
        };
        assert!(
            ended.err[0].starts_with("* created: a TCP socket"),
            "{ended:?}"
        );
        assert_eq!(*connecting, format!("* connecting: to {at}"));
        assert_eq!(closed, "* closed: never connected");
    }
}

#[test]
fn who_ends_first_is_told() {
    for host in HOSTS {
        // The other end: its side alone, and it hears what comes after.
        let (port, server) = one(host, |stream| drop(stream.shutdown(Shutdown::Write)));
        let at = url("tcp", host, port);
        let ended = Running::start(&["connect", &at, "-v", "--idle", "20"]);
        ended.err("* half-closed: the other end sends nothing more");
        ended.err("the other end closed, and the input, still open, said nothing (--idle)");
        ended.err("* closed: 0 bytes sent, 0 received");
        assert_eq!(ended.wait().code, Some(0));
        server.join().unwrap();
        // This end, and the answer still comes.
        let (port, server) = one(host, answers_the_end(b"late"));
        let mut client = Running::start(&["connect", &url("tcp", host, port), "-v"]);
        client.say("one");
        client.end();
        client.err("* half-closed: the input has ended, and nothing more is sent");
        client.err("* half-closed: the other end sends nothing more");
        client.err("* closed: 4 bytes sent, 4 received");
        assert_eq!(client.wait().code, Some(0));
        assert_eq!(server.join().unwrap(), b"one\n");
    }
}

#[test]
fn a_unix_socket_is_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        stream.write_all(b"done").unwrap();
        all
    });
    let url = format!("unix:{}", path.display());
    let output = fed(&["connect", &url, "-v"], b"status");
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(0), &b"done"[..])
    );
    assert_eq!(server.join().unwrap(), "status");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("* created: a Unix stream socket"), "{told}");
}

#[track_caller]
fn fails(args: &[&str], code: i32, part: &str) {
    let mut client = Running::start(&[&["connect"], args].concat());
    // It may have ended already.
    let stdin = client.stdin.as_mut().unwrap();
    stdin.write_all(b"one\n").ok();
    let line = client.err("error: ");
    assert!(line.contains(part), "{args:?}: {line}");
    // The input is open: it does not wait for that.
    assert_eq!(client.wait().code, Some(code), "{args:?}");
}

#[test]
fn each_cause_has_its_own_text_and_exit_code() {
    for host in HOSTS {
        let gone = std::net::TcpListener::bind((host, 0)).unwrap();
        let at = gone.local_addr().unwrap();
        drop(gone);
        fails(&[&format!("tcp://{at}")], 3, "refused the connection");
        fails(&[&format!("udp://{at}")], 3, "refused the connection");
        let (port, server) = one(host, |stream| {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        });
        fails(&[&url("tcp", host, port)], 5, "reset the connection");
        server.join().unwrap();
    }
    // No resolver is asked for a label of more than 63 characters.
    let unknown = format!("tcp://{}.invalid:7", "a".repeat(64));
    fails(&[&unknown], 6, "has no address");
    // Nothing is sent for it: TCP has no way to all hosts at once.
    fails(&["tcp://255.255.255.255:7"], 7, "cannot be reached");
    fails(&["tcp://[ff02::1]:7"], 7, "cannot be reached");
    // No right is missing: it is the broadcast address of loopback.
    fails(&["udp://127.255.255.255:7"], 2, "stands for all hosts");
    fails(
        &["serial:/dev/ttyUSB0"],
        2,
        "a serial line carries chat alone",
    );
}

#[test]
fn each_time_out_ends_it() {
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let silent = TcpListener::bind(host, &Options::default()).unwrap();
        let at = format!("tcp://{}", silent.local_addr().unwrap());
        fails(
            &[&at, "--read-timeout", "20"],
            4,
            "was silent for too long (--read-timeout)",
        );
        fails(
            &[&at, "--timeout", "20"],
            4,
            "was not done in time (--timeout)",
        );
        let output = fed(&["connect", &at, "--idle", "20"], b"one");
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
    }

    // Linux drops further attempts once the queue of a listener is full.
    let options = Options {
        backlog: 0,
        ..Options::default()
    };
    let full = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    let at = full.local_addr().unwrap();
    let quick = Options {
        connect_timeout: Some(Duration::from_millis(100)),
        ..options
    };
    let mut kept = Vec::new();
    while let Ok(stream) = TcpStream::connect(at, &quick) {
        kept.push(stream);
        assert!(kept.len() < 100, "the queue never fills");
    }
    let at = format!("tcp://{at}");
    fails(
        &[&at, "--connect-timeout", "20"],
        4,
        "did not answer in time",
    );
    fails(&[&at, "--timeout", "20"], 4, "did not answer in time");
}

#[test]
fn an_answer_that_is_on_its_way_when_quit_is_typed_is_shown() {
    for listen in ["echo+tcp://127.0.0.1:0", "echo+udp://127.0.0.1:0"] {
        let hub = Hub::start(&[&format!("{listen}?prefix=Echo: ")]);
        let output = fed(&["connect", hub.url(), "-i"], b"hello\nquit\nnot sent\n");
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stdout)),
            (Some(0), Ok("Echo: hello\n".into())),
            "{listen}"
        );
        // Pasted.
        let mut terminal = Terminal::start(&["connect", hub.url()], &[]);
        terminal.types("hello\nquit\n");
        terminal.shows("Echo: hello");
        assert_eq!(terminal.wait(), Some(0));
    }
}

#[test]
fn quit_ends_though_the_other_end_stays() {
    for host in HOSTS {
        let (ended, until) = mpsc::channel::<()>();
        let (port, server) = one(host, move |stream| {
            until.recv().unwrap();
            drop(stream);
        });
        for idle in [&[][..], &["--idle", "600000"], &["--idle", "20"]] {
            // One is accepted; the others stand in the listener's queue.
            let at = url("tcp", host, port);
            let output = fed(&[&["connect", &at, "-i"], idle].concat(), b"one\nquit\n");
            assert_eq!(output.status.code(), Some(0), "{output:?}");
        }
        ended.send(()).unwrap();
        server.join().unwrap();
    }
}

#[test]
fn what_was_said_before_a_new_connection_was_reset_is_shown() {
    for host in HOSTS {
        for _ in 0..8 {
            let (port, server) = one(host, |mut stream| {
                stream.write_all(b"busy\n").unwrap();
                socket2::SockRef::from(&stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            });
            let output = fed(&["connect", &url("tcp", host, port), "-v"], b"");
            server.join().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(5), &b"busy\n"[..]),
                "{told}"
            );
            assert!(told.contains("5 received"), "{told}");
        }
    }
}

#[test]
fn a_line_that_cannot_be_sent_does_not_end_what_is_typed() {
    let hub = Hub::start(&["echo+udp://127.0.0.1:0"]);
    let mut terminal = Terminal::start(&["connect", hub.url(), "--hex"], &[]);
    terminal.types("4\n");
    terminal.shows_part("line 1 is no hex");
    terminal.types("48 69\n");
    terminal.shows_part("|Hi|");
    terminal.types("quit\n");
    assert_eq!(terminal.wait(), Some(0));
    let long = "x".repeat(70_000) + "\nno end\ntwo";
    let output = fed(&["connect", hub.url(), "-i", "-n"], long.as_bytes());
    assert_eq!(
        (output.status.code(), &*output.stdout),
        (Some(0), &b"no endtwo"[..])
    );
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("line 1 is too long"), "{told}");
    let output = fed(&["connect", hub.url()], long.as_bytes());
    assert_eq!(output.status.code(), Some(2), "nobody types: {output:?}");
}
