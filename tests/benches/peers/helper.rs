//! The servers of the bench's own: what any hub, and any echo server, is held against.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::dialect::{Bare, MEMBER};

/// The first argument of this program when it is one of them.
pub(crate) const HELP: &str = "--helper";

/// Runs the helper of that name; it ends with its connections.
pub(crate) fn run(name: &str) {
    match name {
        "write-only" => write_only(),
        other => panic!("there is no helper {other}"),
    }
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    println!(
        "listening on {}",
        listener.local_addr().expect("it is bound")
    );
    listener
}

/// Writes the same bytes to every member, as many runs of posts as it was told of meanwhile, in one
/// write each: no hub can do less.
fn write_only() {
    let listener = listen();
    let mut members: Vec<TcpStream> = Vec::new();
    let mut poster = loop {
        let (mut stream, _) = listener.accept().expect("the generator connects");
        stream.set_nodelay(true).expect("a TCP option");
        let mut part = [0];
        stream.read_exact(&mut part).expect("it says what it is");
        stream.write_all(&part).expect("it reads");
        if part[0] != MEMBER {
            break stream;
        }
        members.push(stream);
    };
    let mut told = [0; 256];
    let run = Bare::run();
    let bytes = run.repeat(told.len());
    loop {
        let Ok(runs @ 1..) = poster.read(&mut told) else {
            return;
        };
        for member in &mut members {
            if member.write_all(&bytes[..runs * run.len()]).is_err() {
                return;
            }
        }
    }
}
