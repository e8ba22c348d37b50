//! The echo command: probes as ping, and lines as cat.

use std::fs;
use std::net::UdpSocket;

use rustix::process::Signal;

use crate::process::{Hub, Running, halloo};

fn hub() -> (tempfile::TempDir, Hub) {
    let dir = tempfile::tempdir().unwrap();
    let unix = ["stream", "datagram", "seqpacket"]
        .map(|kind| format!("echo+unix:{}?type={kind}", dir.path().join(kind).display()));
    let [stream, datagram, seqpacket] = &unix;
    let hub = Hub::start(&[
        "echo+tcp://127.0.0.1:0",
        "echo+udp://127.0.0.1:0",
        stream,
        datagram,
        seqpacket,
    ]);
    (dir, hub)
}

/// The time at the end of a line.
fn millis(line: &str) -> f64 {
    let number = line.trim_end_matches(" ms").rsplit(' ').next().unwrap();
    number.parse().unwrap()
}

#[test]
fn probes_come_back_over_every_transport() {
    let (_dir, hub) = hub();
    for url in &hub.urls {
        let ended = Running::start(&["echo", url, "--count", "3", "--interval", "0"]).wait();
        assert_eq!(
            (ended.code, ended.err.len()),
            (Some(0), 0),
            "{url}: {ended:?}"
        );
        assert_eq!(ended.out.len(), 5, "{url}: {ended:?}");
        assert!(
            ended.out[0].starts_with("0: 64 bytes back in "),
            "{ended:?}"
        );
        assert!(
            ended.out[3].starts_with("3 sent, 3 received, 0 lost"),
            "{ended:?}"
        );
        let sum = ended.out[4].strip_prefix("round trip: ").unwrap();
        let sum: Vec<_> = sum.split(", ").map(millis).collect();
        let times: Vec<_> = ended.out[..3].iter().map(|line| millis(line)).collect();
        let least = times.iter().copied().fold(f64::MAX, f64::min);
        let most = times.iter().copied().fold(0.0, f64::max);
        // Kept to three digits.
        let is_near = |a: f64, b: f64| (a - b).abs() <= 0.002 * b + 0.001;
        assert!(is_near(sum[0], least) && is_near(sum[3], most), "{ended:?}");
    }
}

#[test]
fn piped_lines_come_back_as_they_were_over_every_transport() {
    let (_dir, hub) = hub();
    let lines: Vec<_> = (0..50)
        .map(|n| format!("{n} {}\r", "x".repeat(n * 40)))
        .collect();
    for url in &hub.urls {
        let mut echo = Running::start(&["echo", url, "--lines"]);
        for line in &lines {
            echo.say(line);
        }
        let ended = echo.wait();
        assert_eq!(
            (ended.code, ended.err.len()),
            (Some(0), 0),
            "{url}: {ended:?}"
        );
        // The reader of these lines takes the carriage return off, too.
        let expected: Vec<_> = lines.iter().map(|line| &line[..line.len() - 1]).collect();
        assert_eq!(ended.out, expected, "{url}");
    }
}

#[test]
fn a_line_comes_back_before_the_next_is_typed() {
    let hub = Hub::start(&["echo+tcp://127.0.0.1:0?prefix=Echo: "]);
    let mut echo = Running::start(&["echo", hub.url(), "-l"]);
    for word in ["one", "two"] {
        echo.say(word);
        assert_eq!(echo.out(word), format!("Echo: {word}"));
    }
    assert_eq!(echo.wait().code, Some(0));
}

#[test]
fn a_changed_answer_and_a_lost_one_are_exit_1() {
    let hub = Hub::start(&["echo+tcp://127.0.0.1:0?prefix=Echo: "]);
    let plain = hub.url().split('?').next().unwrap();
    let mut echo = Running::start(&["echo", plain, "-l"]);
    echo.say("one");
    let ended = echo.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err[0].contains("line 1 came back changed"),
        "{ended:?}"
    );

    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let url = format!("udp://{}", silent.local_addr().unwrap());
    let quick = ["--timeout", "20"];
    let mut echo = Running::start(&[&["echo", &url, "-l"][..], &quick].concat());
    echo.say("one");
    let ended = echo.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err[0].contains("line 1 did not come back in time"),
        "{ended:?}"
    );
    let ended =
        Running::start(&[&["echo", &url, "-c", "2", "-i", "0"][..], &quick].concat()).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err[0].contains("2 of 2 probes were lost"),
        "{ended:?}"
    );
}

#[test]
fn a_server_that_goes_away_is_exit_5() {
    let (_dir, hub) = hub();
    let mut lines = Running::start(&["echo", hub.url(), "-l"]);
    lines.say("one");
    lines.out("one");
    let probes = Running::start(&["echo", hub.url(), "-c", "1000000", "-i", "1"]);
    probes.out("bytes back");
    hub.running.signal(Signal::TERM);
    assert_eq!(hub.running.wait().code, Some(0));
    // The input is open still: it does not wait for a line.
    lines.err("the server closed the connection");
    assert_eq!(lines.wait().code, Some(5));
    let ended = probes.wait();
    assert!(matches!(ended.code, Some(3 | 5)), "{ended:?}");
}

#[test]
fn an_interrupt_ends_with_the_summary() {
    let (_dir, hub) = hub();
    let echo = Running::start(&["echo", hub.url(), "-c", "1000000", "-i", "1"]);
    echo.out("bytes back");
    echo.signal(Signal::INT);
    let ended = echo.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.iter().any(|line| line.contains(" sent, ")),
        "{ended:?}"
    );
}

#[test]
fn the_path_that_datagrams_come_back_to_goes_with_the_command() {
    let (_dir, hub) = hub();
    let own = tempfile::tempdir().unwrap();
    let paths = || fs::read_dir(own.path()).unwrap().count();
    let url = hub.urls.iter().find(|url| url.contains("=datagram"));
    for more in [&["-c", "1000000", "-i", "1"][..], &["--lines"]] {
        let args = [&["echo", url.unwrap()], more].concat();
        let mut echo = Running::spawn(halloo(&args).env("TMPDIR", own.path()));
        if more == ["--lines"] {
            echo.say("one");
        }
        echo.out("");
        assert_eq!(paths(), 1);
        echo.signal(Signal::INT);
        echo.wait();
        assert_eq!(paths(), 0);
    }
}
