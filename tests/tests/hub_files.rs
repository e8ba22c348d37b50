//! The hub when the process has no file descriptor left: a binary of its own, since the limit is the
//! whole process's.

use std::io::{Read, Write};
use std::net::TcpStream;

use halloo_tests::hub::{RunningHub, small};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn a_hub_without_file_descriptors_goes_on_once_there_are_some() {
    let hub = RunningHub::start(&["echo+tcp://127.0.0.1:0"], small());
    let mut first = hub.tcp(0);
    check_echo(&mut first);
    let before = getrlimit(Resource::Nofile);
    let limit = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64 + 20;
    let lowered = Rlimit {
        current: Some(limit),
        ..before
    };
    setrlimit(Resource::Nofile, lowered).unwrap();
    let (host, port) = hub.address(0);
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect((host.as_str(), port)) {
        waiting.push(stream);
    }
    assert!(waiting.len() >= 10, "{}", waiting.len());
    while hub.stats.snapshot().accept_pauses == 0 {
        check_echo(&mut first);
    }
    setrlimit(Resource::Nofile, before).unwrap();
    for stream in &mut waiting {
        check_echo(stream);
    }
}

fn check_echo(stream: &mut TcpStream) {
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}
