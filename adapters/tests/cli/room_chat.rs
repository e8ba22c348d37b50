//! Three plain Python clients of the tutorial's room chat, word for word as `room_chat.txt` has it.

use std::collections::HashMap;
use std::process::Command;

use crate::process::{Hub, Running};
use crate::python::has_python;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/room_chat.py");
const TRANSCRIPT: &str = include_str!("room_chat.txt");

#[test]
fn three_python_clients_chat_as_the_transcript_has_it() {
    if has_python() {
        let hub = Hub::start(&["json+tcp://127.0.0.1:0"]);
        let (_, port) = hub.url().rsplit_once(':').unwrap();
        replay("127.0.0.1", port);
    }
}

/// Plays the transcript with a client for each name in it.
#[track_caller]
pub(crate) fn replay(host: &str, port: &str) {
    let mut clients: HashMap<&str, Running> = HashMap::new();
    for line in TRANSCRIPT.lines() {
        let (name, line) = line.split_once(' ').unwrap();
        let client = clients.entry(name).or_insert_with(|| {
            let mut command = Command::new("python3");
            Running::spawn(command.args(["-B", CLIENT, host, port]))
        });
        match line.split_at(2) {
            ("> ", typed) => client.say(typed),
            ("< ", shown) => assert_eq!(client.out(""), shown, "{name}"),
            _ => panic!("neither typed nor shown: {line}"),
        }
    }
    for (name, client) in clients {
        let ended = client.wait();
        assert_eq!((ended.code, ended.out), (Some(0), vec![]), "{name}");
        assert!(ended.err.is_empty(), "{name}: {:?}", ended.err);
    }
}
