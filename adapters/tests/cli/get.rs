//! HTTP: a Python server, and answers of every form.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use crate::process::{Running, fed};
use crate::python::has_python;
use crate::servers::{HOSTS, one, url};

#[test]
fn a_page_of_a_python_server_is_fetched() {
    if !has_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let page: Vec<u8> = (0..300_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(dir.path().join("page ü"), &page).unwrap();
    for host in HOSTS {
        let code = "import http.server, socket, sys\n\
            class Server(http.server.ThreadingHTTPServer):\n\
            \x20   address_family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n\
            server = Server((sys.argv[1], 0), http.server.SimpleHTTPRequestHandler)\n\
            print(server.server_address[1], flush=True)\n\
            server.serve_forever()";
        let mut command = Command::new("python3");
        command.args(["-c", code, host]).current_dir(dir.path());
        let server = Running::spawn(&mut command);
        let at = url("http", host, server.out(""));
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
    }
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
fn a_server_that_is_silent_or_slow_is_exit_4_and_one_that_is_not_there_3() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
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
