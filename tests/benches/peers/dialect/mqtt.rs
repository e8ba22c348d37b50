//! MQTT 3.1.1.

use std::io::Write;
use std::net::TcpStream;

use super::{BODY, Confirms, Control, Dialect, Part, Shape, Template, read_until};
use crate::server::Server;

const CONNECT: u8 = 0x10;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;

pub(crate) struct Mqtt {
    pub(crate) qos: u8,
}

/// The number of every packet: no connection has two on their way.
const PACKET: [u8; 2] = [0, 1];

impl Dialect for Mqtt {
    /// Somebody who is away wants everything, so that it is kept.
    fn prepare(&self, server: &Server) {
        let mut stream = TcpStream::connect(server.address).expect("it listens");
        connect(&mut stream, "keeper", 0);
        self.subscribe(&mut stream, "#");
        let disconnect = [0xe0, 0];
        stream.write_all(&disconnect).expect("mosquitto reads");
    }

    fn attach(&self, stream: &mut TcpStream, nth: usize, room: &str, part: Part) -> Shape {
        connect(stream, &format!("peer-{nth}"), 2);
        if part.reads() {
            self.subscribe(stream, room);
        }
        let head = before(room, self.qos);
        Shape {
            mixed: false,
            size: head.len() + BODY,
            body_at: head.len(),
            count: Some((head.len(), 0)),
            head,
        }
    }

    fn template(&self, _nth: usize, room: &str) -> Template {
        Template::new(&before(room, self.qos), &[])
    }

    /// `PUBACK`.
    fn control(&self, data: &[u8]) -> Option<Control> {
        let answer = data.get(..4)?;
        assert_eq!(answer, [0x40, 2, PACKET[0], PACKET[1]], "mosquitto says");
        Some(Control {
            len: answer.len(),
            confirms: Confirms::One,
        })
    }
}

impl Mqtt {
    fn subscribe(&self, stream: &mut TcpStream, filter: &str) {
        let mut subscribe = PACKET.to_vec();
        subscribe.extend(text(filter));
        subscribe.push(self.qos);
        let packet = packet(SUBSCRIBE, &subscribe);
        stream.write_all(&packet).expect("mosquitto reads");
        let answer = read_until(stream, |held| held.len() >= 5);
        assert_eq!(answer, [0x90, 3, PACKET[0], PACKET[1], self.qos], "SUBACK");
    }
}

fn connect(stream: &mut TcpStream, client: &str, flags: u8) {
    let mut connect = text("MQTT");
    // Version 3.1.1, no keepalive.
    connect.extend_from_slice(&[4, flags, 0, 0]);
    connect.extend(text(client));
    let packet = packet(CONNECT, &connect);
    stream.write_all(&packet).expect("mosquitto reads");
    let answer = read_until(stream, |held| held.len() >= 4);
    assert_eq!(answer, [0x20, 2, 0, 0], "CONNACK");
}

/// A `PUBLISH` up to its body.
fn before(room: &str, qos: u8) -> Vec<u8> {
    let mut rest = text(room);
    if qos > 0 {
        rest.extend_from_slice(&PACKET);
    }
    rest.extend_from_slice(&[0; BODY]);
    let mut whole = packet(PUBLISH | qos << 1, &rest);
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
