//! The text protocol of nats-server.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Confirms, Control, Dialect, Part, Shape, Template, line, read_until};
use crate::server::Server;

pub(crate) struct Nats;

impl Dialect for Nats {
    fn attach(&self, stream: &mut TcpStream, _nth: usize, room: &str, part: Part) -> Shape {
        let mut hello =
            String::from("CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\n");
        if part.reads() {
            hello += &format!("SUB {room} 1\r\n");
        }
        hello += "PING\r\n";
        stream
            .write_all(hello.as_bytes())
            .expect("nats-server reads");
        read_until(stream, |held| held.ends_with(b"PONG\r\n"));
        let head = format!("MSG {room} 1 {BODY}\r\n").into_bytes();
        Shape {
            mixed: false,
            size: head.len() + BODY + 2,
            body_at: head.len(),
            count: Some((head.len(), 0)),
            head,
        }
    }

    fn template(&self, _nth: usize, room: &str) -> Template {
        Template::new(format!("PUB {room} {BODY}\r\n").as_bytes(), b"\r\n")
    }

    /// `PING` and `INFO`, which want no answer within minutes.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let len = line(data)?;
        let is_known = data.starts_with(b"PING") || data.starts_with(b"INFO");
        assert!(is_known, "nats-server says {}", data[..len].escape_ascii());
        Some(Control {
            len,
            confirms: Confirms::Nothing,
        })
    }
}

/// Posts into a stream of JetStream, on disk.
pub(crate) struct JetStream;

impl Dialect for JetStream {
    fn prepare(&self, server: &Server) {
        let mut stream = TcpStream::connect(server.address).expect("it listens");
        let config = "{\"name\":\"S\",\"subjects\":[\"*\"],\"storage\":\"file\",\
                      \"num_replicas\":1,\"retention\":\"limits\",\"discard\":\"old\"}";
        let request = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB _made.here 1\r\n\
             PUB $JS.API.STREAM.CREATE.S _made.here {}\r\n{config}\r\n",
            config.len()
        );
        stream
            .write_all(request.as_bytes())
            .expect("nats-server reads");
        let held = read_until(&mut stream, |held| {
            held.ends_with(b"}\r\n") && held.windows(4).any(|four| four == b"MSG ")
        });
        let answer = String::from_utf8_lossy(&held).into_owned();
        assert!(!answer.contains("\"error\""), "{answer}");
    }

    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, _part: Part) -> Shape {
        let shape = Nats.attach(stream, nth, room, Part::Poster);
        let subscribe = format!("SUB {} 1\r\nPING\r\n", inbox(nth));
        stream
            .write_all(subscribe.as_bytes())
            .expect("nats-server reads");
        read_until(stream, |held| held.ends_with(b"PONG\r\n"));
        shape
    }

    fn template(&self, nth: usize, room: &str) -> Template {
        let before = format!("PUB {room} {} {BODY}\r\n", inbox(nth));
        Template::new(before.as_bytes(), b"\r\n")
    }

    /// A message with the place of a post in the stream.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let head = line(data)?;
        if !data.starts_with(b"MSG ") {
            return Nats.control(data);
        }
        let len = String::from_utf8_lossy(&data[..head - 2]).into_owned();
        let len = len
            .rsplit(' ')
            .next()
            .and_then(|len| len.parse::<usize>().ok());
        let len = head + len.expect("a length") + 2;
        let body = data.get(head..len)?;
        let is_kept = body.windows(6).any(|bytes| bytes == b"\"seq\":");
        assert!(is_kept, "nats-server says {}", body.escape_ascii());
        Some(Control {
            len,
            confirms: Confirms::One,
        })
    }
}

/// Where the answers to a connection go.
fn inbox(nth: usize) -> String {
    format!("_inbox.{nth}")
}
