//! The servers of the bench's own: what any hub, and any echo server, is held against.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::epoll;
use rustix::io::Errno;
use slab::Slab;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::dialect::{Bare, MEMBER};

/// The first argument of this program when it is one of them.
pub(crate) const HELP: &str = "--helper";

/// Runs the helper of that name.
pub(crate) fn run(name: &str, most: usize) {
    match name {
        "write-only" => write_only(most),
        "epoll" => bare_echo(),
        "tokio" => tokio_echo(),
        other => panic!("there is no helper {other}"),
    }
}

fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a free port");
    socket.listen(1024).expect("a free port");
    let listener = TcpListener::from(socket);
    println!(
        "listening on {}",
        listener.local_addr().expect("it is bound")
    );
    listener
}

/// Writes the same bytes to every member, as many runs of posts as it was told of meanwhile, but no
/// more than `most`, in one write each: no hub can do less.
fn write_only(most: usize) {
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
    let mut told = vec![0; most];
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

/// Waits, reads once, writes once, and nothing else.
fn bare_echo() {
    let listener = listen();
    let queue = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an event queue");
    let mut streams: Slab<TcpStream> = Slab::new();
    let listening = epoll::EventData::new_u64(u64::MAX);
    epoll::add(&queue, &listener, listening, epoll::EventFlags::IN).expect("a place");
    let mut events = Vec::with_capacity(1024);
    let mut room = [0; 16 * 1024];
    loop {
        events.clear();
        match epoll::wait(&queue, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => panic!("{e}"),
        }
        for event in &events {
            let data = event.data.u64();
            if data == u64::MAX {
                let (stream, _) = listener.accept().expect("a connection");
                stream.set_nodelay(true).expect("a TCP option");
                let entry = streams.vacant_entry();
                let number = epoll::EventData::new_u64(entry.key() as u64);
                epoll::add(&queue, &stream, number, epoll::EventFlags::IN).expect("a place");
                entry.insert(stream);
                continue;
            }
            let key = data as usize;
            // Bytes are there, so this does not block.
            match rustix::net::recv(&streams[key], &mut room, rustix::net::RecvFlags::DONTWAIT) {
                Ok((_, n @ 1..)) => {
                    let sent = streams[key].write(&room[..n]);
                    assert!(sent.is_err() || sent.is_ok_and(|sent| sent == n));
                }
                Err(Errno::AGAIN) => {}
                _ => drop(streams.remove(key)),
            }
        }
    }
}

/// What the tutorial of tokio shows, on one thread.
fn tokio_echo() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let listener = listen();
        listener.set_nonblocking(true).expect("an option");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a TCP option");
            tokio::spawn(async move {
                let mut room = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut room).await {
                    if stream.write_all(&room[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}
