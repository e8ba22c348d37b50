//! The text protocol of nats-server.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Confirms, Control, Dialect, Part, Shape, Template, read_until};

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

    fn template(&self, room: &str) -> Template {
        Template::new(format!("PUB {room} {BODY}\r\n").as_bytes(), b"\r\n")
    }

    /// `PING` and `INFO`, which want no answer within minutes.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let end = data.windows(2).position(|two| two == b"\r\n")?;
        let line = &data[..end];
        let is_known = [&b"PING"[..], b"INFO"]
            .iter()
            .any(|word| line.starts_with(word));
        assert!(is_known, "nats-server says {}", line.escape_ascii());
        Some(Control {
            len: end + 2,
            confirms: Confirms::Nothing,
        })
    }
}
