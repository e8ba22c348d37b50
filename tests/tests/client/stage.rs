//! A hub that a test plays itself, message by message.

use std::io::{Read, Write};
use std::net;
use std::thread::{self, JoinHandle};

use halloo_core::wire::{self, Lineage, Message, Welcome};

/// A hub that a test plays itself, for one connection after another.
pub(crate) struct Stage {
    pub(crate) url: String,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    pub(crate) fn play(scene: impl FnOnce(&net::TcpListener) + Send + 'static) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("chat+tcp://{}", listener.local_addr().unwrap());
        let thread = Some(thread::spawn(move || scene(&listener)));
        Self { url, thread }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(panic) = self.thread.take().unwrap().join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

pub(crate) fn framed(message: &Message<'_>) -> Vec<u8> {
    let mut payload = [0; 1024];
    let len = wire::binary::encode(message, &mut payload).unwrap();
    let mut frame = u32::try_from(len).unwrap().to_be_bytes().to_vec();
    frame.extend(&payload[..len]);
    frame
}

pub(crate) fn read_frame(stream: &mut net::TcpStream) -> Vec<u8> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut payload = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut payload).unwrap();
    payload
}

/// Takes a connection, reads its `Hello` and says `Welcome`.
pub(crate) fn welcome(listener: &net::TcpListener) -> net::TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let hello = read_frame(&mut stream);
    let Message::Hello(hello) = wire::binary::decode(&hello).unwrap().message else {
        panic!("no hello");
    };
    let welcome = Message::Welcome(Welcome {
        version: wire::VERSION,
        suite: 0,
        flags: 0,
        nonce: hello.nonce,
        session: 1,
        store: 1,
        generation: 1,
        keepalive: 60,
        max_body: 1024,
        window: 4,
        proof: &[],
        lineage: Lineage::NONE,
    });
    stream.write_all(&framed(&welcome)).unwrap();
    stream
}
