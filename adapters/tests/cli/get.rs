//! HTTP: a Python server, and answers of every form.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::process::{Running, fed};
use crate::python::has_python;
use crate::servers::{HOSTS, one, url};
use crate::terminal::Terminal;

#[expect(dead_code, reason = "its main is for the command line")]
#[path = "../../examples/http_get.rs"]
mod http_get;

#[test]
fn a_page_of_a_python_server_is_fetched() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let page: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(dir.path().join("page ü"), &page).unwrap();
    for host in HOSTS {
        let (server, at) = python(dir.path(), host);
        let output = fed(&["get", &format!("{at}/page ü")], b"");
        assert_eq!(
            (output.status.code(), output.stderr.len()),
            (Some(0), 0),
            "{output:?}"
        );
        assert!(output.stdout == page, "{} bytes", output.stdout.len());
        let ended = Running::start(&["get", "-i", &format!("{at}/none")]).wait();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.out[0].ends_with("404 File not found"), "{ended:?}");
        assert!(
            ended.err[0].contains("the server answered 404"),
            "{ended:?}"
        );
        drop(server);
    }
}

/// Python's own server of files; its URL.
fn python(dir: &Path, host: &str) -> (Running, String) {
    let code = "import http.server, socket, sys\n\
            class Server(http.server.ThreadingHTTPServer):\n\
            \x20   address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n\
            server = Server((sys.argv[1], 0), http.server.SimpleHTTPRequestHandler)\n\
            print(server.server_address[1], flush=True)\n\
            server.serve_forever()";
    let mut command = Command::new("python3");
    command.args(["-c", code, host]).current_dir(dir);
    let server = Running::spawn(&mut command);
    let at = url("http", host, server.out(""));
    (server, at)
}

/// Answers one request with `answer`, in pieces of `size`.
fn answer(answer: &'static str, size: usize) -> impl FnOnce(TcpStream) -> String + Send {
    move |mut stream| {
        let mut request = Vec::new();
        let mut byte = [0; 1];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        stream.set_nodelay(true).unwrap();
        for piece in answer.as_bytes().chunks(size) {
            // The client may have seen enough.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        String::from_utf8(request).unwrap()
    }
}

#[test]
fn a_body_ends_by_length_in_chunks_or_with_the_connection() {
    for (head, body) in [
        ("Content-Length: 5\r\n", "hello"),
        ("content-length:5\r\n", "hello and more"),
        // As old devices have them.
        ("Content-Length : 5\r\n", "hello and more"),
        ("X-A: a\r\n b\r\nContent-Length: 5\r\n", "hello and more"),
        (
            "Transfer-Encoding: chunked\r\n",
            "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n",
        ),
        ("", "hello"),
    ] {
        let text: &str = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}").leak();
        for (host, size) in [(HOSTS[0], 1), (HOSTS[1], 7), (HOSTS[0], 1000)] {
            let (port, server) = one(host, answer(text, size));
            let at = url("http", host, port);
            let output = fed(&["get", &format!("{at}/x?y")], b"");
            assert_eq!(output.status.code(), Some(0), "{text:?}: {output:?}");
            assert_eq!(output.stdout, b"hello", "{text:?}");
            let request = server.join().unwrap();
            let (_, named) = at.split_once("://").unwrap();
            let start = format!("GET /x?y HTTP/1.1\r\nHost: {named}\r\n");
            assert!(request.starts_with(&start), "{request:?}");
        }
    }
}

#[test]
fn the_status_and_the_headers_come_first_if_asked_for() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 301 Moved\r\nLocation: /y\r\nX-A: b\r\n\
                Content-Length: 3\r\n\r\nend";
    let (port, server) = one("127.0.0.1", answer(text, 3));
    let ended = Running::start(&["get", "-i", &url("http", "127.0.0.1", port)]).wait();
    let shown = [
        "HTTP/1.1 301 Moved",
        "Location: /y",
        "X-A: b",
        "Content-Length: 3",
        "",
        "end",
    ];
    assert_eq!(
        (ended.code, &ended.out[..]),
        (Some(0), &shown.map(String::from)[..])
    );
    assert_eq!(ended.err, ["it is at /y: redirects are not followed"]);
    server.join().unwrap();
}

#[test]
fn the_example_fetches_a_page_of_a_python_server() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let page: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(dir.path().join("page"), &page).unwrap();
    for host in HOSTS {
        let (_server, at) = python(dir.path(), host);
        let place = at.strip_prefix("http://").unwrap();
        let got = http_get::get(place, "/page").unwrap();
        assert_eq!(got.status, 200);
        assert!(got.body == page, "{} bytes", got.body.len());
        let length = ("content-length".into(), b"100000".to_vec());
        assert!(got.headers.contains(&length), "{:?}", got.headers);
        assert_eq!(http_get::get(place, "/none").unwrap().status, 404);
    }
}

#[test]
fn the_example_knows_where_each_body_ends() {
    let example = |host: &str, text: &str, size| {
        let (port, server) = one(host, answer(text.to_owned().leak(), size));
        let at = url("http", host, port);
        let got = http_get::get(at.strip_prefix("http://").unwrap(), "/x");
        server.join().unwrap();
        got
    };
    let bodies = [
        ("Content-Length: 5\r\n", "hello and more"),
        ("Content-Length: 0\r\n", ""),
        (
            "Transfer-Encoding: chunked\r\n",
            "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
        ),
        ("", "hello"),
    ];
    for (head, body) in bodies {
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
        for (host, size) in [(HOSTS[0], 1), (HOSTS[1], 7), (HOSTS[0], 1000)] {
            let got = example(host, &text, size).unwrap();
            let expected: &[u8] = if body.is_empty() { b"" } else { b"hello" };
            assert_eq!((got.status, &*got.body), (200, expected), "{text:?}");
        }
    }
    for cut in [
        "HTTP/1.1 200 OK\r\nA: b",
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nh",
        "SSH-2.0-OpenSSH\r\n",
    ] {
        assert!(example(HOSTS[0], cut, 7).is_err(), "{cut:?}");
    }
}

#[test]
fn at_a_terminal_control_bytes_of_a_page_are_escaped() {
    let text = "HTTP/1.1 200 OK\r\nX-A: \u{9b}1m\r\nContent-Length: 9\r\n\r\n\x1b[2Jgone\n";
    for host in HOSTS {
        let (port, server) = one(host, answer(text, 1000));
        let mut terminal = Terminal::start(&["get", "-i", &url("http", host, port)], &[]);
        terminal.shows("X-A: \\u{9b}1m");
        terminal.shows("\\u{1b}[2Jgone");
        assert_eq!(terminal.wait(), Some(0));
        server.join().unwrap();
    }
}

#[track_caller]
fn fails(text: &'static str, args: &[&str], code: i32, part: &str) {
    let (port, server) = one("127.0.0.1", answer(text, 1000));
    let at = url("http", "127.0.0.1", port);
    let ended = Running::start(&[&["get", &at], args].concat()).wait();
    server.join().unwrap();
    assert_eq!(ended.code, Some(code), "{text:?}: {ended:?}");
    assert!(ended.err[0].contains(part), "{text:?}: {ended:?}");
}

#[test]
fn answers_that_are_cut_off_or_no_http_are_exit_5() {
    fails("", &[], 5, "closed the connection before its headers ended");
    fails(
        "HTTP/1.1 200 OK\r\nA: b",
        &[],
        5,
        "before its headers ended",
    );
    fails("SSH-2.0-OpenSSH\r\n", &[], 5, "sent what is no HTTP");
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe";
    fails(short, &[], 5, "the body was cut off: 3 bytes are missing");
    let short = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n";
    fails(short, &[], 5, "its last chunk did not come");
    let wrong = "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhe";
    fails(wrong, &[], 5, "a wrong Content-Length");
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(2000)).leak();
    fails(
        long,
        &["--max-header", "1000"],
        5,
        "allow more with --max-header",
    );
}

#[test]
fn an_answer_that_is_an_error_says_what_to_look_at() {
    for (text, part) in [
        ("404 Not Found", "404 Not Found: check the path"),
        ("403 Forbidden", "403 Forbidden"),
        ("500 Oops", "500 Oops: look at what the server logs"),
    ] {
        let whole = format!("HTTP/1.1 {text}\r\nContent-Length: 0\r\n\r\n").leak();
        let (port, server) = one("127.0.0.1", answer(whole, 1000));
        let ended = Running::start(&["get", &url("http", "127.0.0.1", port)]).wait();
        server.join().unwrap();
        let told = format!("error: the server answered {part}");
        assert_eq!((ended.code, &ended.err[..]), (Some(1), &[told][..]));
    }
}

#[test]
fn a_server_that_is_silent_or_slow_is_exit_4_and_one_that_is_not_there_3() {
    for host in HOSTS {
        let listener = std::net::TcpListener::bind((host, 0)).unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        for limits in [
            &["--read-timeout", "20"][..],
            &["--timeout", "20", "--read-timeout", "600000"],
        ] {
            let ended = Running::start(&[&["get", &at][..], limits].concat()).wait();
            assert_eq!(ended.code, Some(4), "{ended:?}");
            assert!(ended.err[0].contains("in time"), "{ended:?}");
        }
        drop(listener);
        assert_eq!(Running::start(&["get", &at]).wait().code, Some(3));
        let (port, server) = one(host, |stream| {
            socket2::SockRef::from(&stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        });
        let ended = Running::start(&["get", &url("http", host, port)]).wait();
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.err[0].contains("reset the connection"), "{ended:?}");
        server.join().unwrap();
    }
    let unknown = format!("http://{}.invalid/", "a".repeat(64));
    assert_eq!(Running::start(&["get", &unknown]).wait().code, Some(6));
    // Bytes now and then are no answer in time, though it is never silent for long.
    let (port, server) = one("127.0.0.1", |mut stream| {
        let mut bytes = &b"HTTP/1.1 200 OK\r\nA: "[..];
        while stream.write_all(bytes).is_ok() {
            bytes = b"b";
            std::thread::yield_now();
        }
    });
    let slow = url("http", "127.0.0.1", port);
    let most = ["--max-header", "1000000000"];
    let ended = Running::start(&[&["get", &slow, "--timeout", "50"][..], &most].concat()).wait();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    server.join().unwrap();
}

#[test]
fn what_is_no_url_is_exit_2() {
    for (bad, part) in [
        ("https://127.0.0.1/", "wants encryption"),
        ("127.0.0.1:80", "does not start with http://"),
        ("http://127.0.0.1:x/", "has a port that is none"),
    ] {
        let ended = Running::start(&["get", bad]).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.err[0].contains(part), "{ended:?}");
    }
}

#[test]
fn at_a_terminal_characters_and_line_ends_are_whole_however_the_page_is_cut() {
    let (seen, was_seen) = mpsc::channel::<()>();
    let (port, server) = one("127.0.0.1", move |mut stream| {
        // The request comes in one piece.
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        for piece in [&b"gr\xc3"[..], b"\xbc\r", b"\nend\r\n"] {
            stream.write_all(piece).unwrap();
            was_seen.recv().unwrap();
        }
    });
    let mut terminal = Terminal::start(&["get", &url("http", "127.0.0.1", port)], &[]);
    for piece in ["gr", "grü", "end"] {
        terminal.shows(piece);
        seen.send(()).unwrap();
    }
    server.join().unwrap();
    assert_eq!(terminal.wait(), Some(0));
    assert_eq!(terminal.rows(), ["grü", "end"]);
}

#[test]
fn answers_that_only_say_that_one_will_come_are_bounded() {
    let again = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100);
    let text = format!("{again}HTTP/1.1 204 No Content\r\n\r\n").leak();
    fails(
        text,
        &["--max-header", "4000"],
        5,
        "the headers have more than 4000 bytes: allow more with --max-header",
    );
    let (port, server) = one("127.0.0.1", answer(text, 1000));
    let ended = Running::start(&["get", &url("http", "127.0.0.1", port)]).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    server.join().unwrap();
}
