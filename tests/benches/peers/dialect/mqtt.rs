//! MQTT 3.1.1, QoS 0.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Control, Dialect, Part, Shape, Template, read_until};

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;

pub(crate) struct Mqtt;

impl Dialect for Mqtt {
    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, part: Part) -> Shape {
        let mut connect = text("MQTT");
        // Version 3.1.1, a clean session, no keepalive.
        connect.extend_from_slice(&[4, 2, 0, 0]);
        connect.extend(text(&format!("peer-{nth}")));
        stream
            .write_all(&packet(CONNECT, &connect))
            .expect("mosquitto reads");
        let answer = read_until(stream, |held| held.len() >= 4);
        assert_eq!(answer, [0x20, 2, 0, 0], "CONNACK");
        if part.reads() {
            let mut subscribe = vec![0, 1];
            subscribe.extend(text(room));
            subscribe.push(0);
            stream
                .write_all(&packet(SUBSCRIBE, &subscribe))
                .expect("mosquitto reads");
            let answer = read_until(stream, |held| held.len() >= 5);
            assert_eq!(answer, [0x90, 3, 0, 1, 0], "SUBACK");
        }
        let head = before(room);
        Shape {
            mixed: false,
            size: head.len() + BODY,
            body_at: head.len(),
            count: Some((head.len(), 0)),
            head,
        }
    }

    fn template(&self, room: &str) -> Template {
        Template::new(&before(room), &[])
    }

    fn control(&self, data: &[u8]) -> Option<Control> {
        panic!("mosquitto says {}", data.escape_ascii());
    }
}

/// A `PUBLISH` up to its body.
fn before(room: &str) -> Vec<u8> {
    let mut rest = text(room);
    rest.extend_from_slice(&[0; BODY]);
    let mut whole = packet(PUBLISH, &rest);
    whole.truncate(whole.len() - BODY);
    whole
}

fn text(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).expect("short");
    let mut out = len.to_be_bytes().to_vec();
    out.extend_from_slice(text.as_bytes());
    out
}

fn packet(kind: u8, rest: &[u8]) -> Vec<u8> {
    let len = u8::try_from(rest.len()).expect("short");
    assert!(len < 128, "one byte holds the length");
    let mut out = vec![kind, len];
    out.extend_from_slice(rest);
    out
}
