//! Holds `core/PROTOCOL.md` against the code: its tables, its layouts, its example, its ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display, Write as _};
use std::fs;
use std::path::Path;

use halloo_core::chat::{SESSION_LIFETIME, datagram};
use halloo_core::name::MAX_NAME;
use halloo_core::wire::{
    Bye, ByeReason, Code, ENTRY_OVERHEAD, Entry, Gap, GapReason, Hello, Join, Joined, Lineage,
    MAGIC, MAX_BODY, MAX_CONTROL, MAX_ECHO, MAX_EXTENSION_BYTES, MAX_EXTENSIONS, MAX_LINEAGE,
    MAX_PROOF, MAX_TEXT, Message, Names, Notice, NoticeKind, PeerError, Roster, VERSION, Welcome,
    binary, kind,
};

const DOC: &str = include_str!("../../core/PROTOCOL.md");

/// The rows below the table header `| first | …`, from the line that starts with `under` on.
#[track_caller]
fn table(under: &str, first: &str) -> Vec<Vec<&'static str>> {
    let start = DOC
        .find(&format!("\n{under}"))
        .expect("the heading is there");
    let head = format!("| {first} | ");
    let lines: Vec<_> = DOC[start..].lines().collect();
    let header = lines
        .windows(2)
        .position(|pair| pair[0].starts_with(&head) && pair[1].starts_with("| ---"))
        .expect("the table is there");
    lines[header + 2..]
        .iter()
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

fn plain(cell: &str) -> &str {
    cell.trim_matches('`')
}

fn hex(cell: &str) -> u8 {
    u8::from_str_radix(cell.strip_prefix("0x").expect("hexadecimal"), 16).expect("one byte")
}

/// One of each message, with nothing in the fields that have a length.
fn shortest() -> Vec<Message<'static>> {
    vec![
        Message::Hello(HELLO),
        Message::Retry { cookie: [0; 16] },
        Message::Welcome(WELCOME),
        Message::Join(Join {
            room: b"",
            name: b"",
            ..JOIN
        }),
        Message::Leave { slot: 0 },
        Message::Joined(JOINED),
        Message::Post {
            slot: 0,
            seq: 0,
            body: b"",
        },
        ACK,
        Message::Reject {
            slot: 0,
            seq: 0,
            code: Code::Full,
        },
        Message::Entry(OWN_MARKER),
        Message::Credit {
            slot: 0,
            cursor: 0,
            window: 0,
        },
        Message::Gap(Gap {
            slot: 0,
            from: 0,
            to: 0,
            reason: GapReason::Repair,
        }),
        Message::Notice(Notice {
            slot: 0,
            version: 0,
            kind: NoticeKind::Count,
            members: 0,
            who: "",
        }),
        Message::Who { slot: 0, skip: 0 },
        Message::Roster(Roster {
            slot: 0,
            skip: 0,
            members: 0,
            names: Names::default(),
        }),
        Message::Ping { token: 0 },
        Message::Pong { token: 0 },
        Message::Error(PeerError {
            code: Code::Full,
            retry_after: 0,
            text: "",
        }),
        Message::Bye(BYE),
        Message::EchoRequest {
            token: 0,
            bytes: b"",
        },
        Message::EchoReply {
            token: 0,
            bytes: b"",
        },
    ]
}

#[test]
fn the_table_of_kinds_is_that_of_the_code() {
    let doc: Vec<_> = table("### 2.1", "kind")
        .iter()
        .map(|row| (plain(row[1]), hex(row[0])))
        .collect();
    assert_eq!(doc, kind::ALL);
}

#[test]
fn every_layout_has_the_length_of_the_encoded_message() {
    for (message, (name, number)) in shortest().iter().zip(kind::ALL) {
        let rows = table(&format!("### {name}\n"), "field");
        assert_eq!((rows[0][0], rows[0][1]), ("kind", "1"), "{name}");
        assert_eq!(hex(rows[0][2]), *number, "{name}");
        // "2 + n" counts 2 here.
        let documented: usize = rows
            .iter()
            .map(|row| row[1].split(' ').next().expect("a width"))
            .map(|width| width.parse::<usize>().expect("a number of bytes"))
            .sum();
        let len = binary::encode(message, &mut [0; 256]).expect("it fits");
        assert_eq!(documented, len, "{name}");
    }
}

#[test]
fn the_limits_over_datagrams_are_those_of_the_code() {
    let widths = table("### 1.3", "field");
    let in_front: usize = widths
        .iter()
        .map(|row| row[1].parse::<usize>().unwrap())
        .sum();
    assert_eq!(in_front, datagram::HEADER);
    let code = [
        ("bytes in front of a message", datagram::HEADER),
        ("least bytes of a `Hello`", datagram::MIN_HELLO),
        ("bytes of a body", datagram::MAX_BODY.into()),
        ("posts on the way in a room", datagram::WINDOW.into()),
        ("entries on the way in a room", datagram::MAX_ENTRIES.into()),
        (
            "times in a row that a device sends the same again",
            datagram::MAX_TRIES.into(),
        ),
        (
            "keepalive interval that a device asks for, in seconds",
            datagram::KEEPALIVE.into(),
        ),
    ];
    let doc = table("## 9.", "limit over datagrams");
    let doc: Vec<_> = doc
        .iter()
        .map(|row| (row[0], row[1].parse().unwrap()))
        .collect();
    assert_eq!(doc, code);
    assert!(DOC.contains(&format!(
        "less than {} bytes are not",
        datagram::MIN_ANSWERED
    )));
}

#[test]
fn a_hub_remembers_who_left_for_as_long_as_the_document_says() {
    let days = SESSION_LIFETIME.as_secs() / (24 * 3600);
    assert!(DOC.contains(&format!("posts after its last session | {days} days |")));
}

#[test]
fn the_tables_of_numbers_are_those_of_the_code() {
    #[track_caller]
    fn check<T: Debug + Display>(under: &str, first: &str, numbers: impl Iterator<Item = (u8, T)>) {
        let code: Vec<_> = numbers
            .map(|(number, value)| {
                [
                    number.to_string(),
                    format!("`{value:?}`"),
                    value.to_string(),
                ]
            })
            .collect();
        assert_eq!(table(under, first), code);
    }
    let codes = Code::ALL.iter().map(|c| (c.to_wire(), *c));
    check("### 7.1", "code", codes);
    let gaps = GapReason::ALL.iter().map(|r| (r.to_wire(), *r));
    check("### Gap\n", "reason", gaps);
    let notices = NoticeKind::ALL.iter().map(|k| (k.to_wire(), *k));
    check("### Notice\n", "notice", notices);
    let byes = ByeReason::ALL.iter().map(|r| (r.to_wire(), *r));
    check("### Bye\n", "bye", byes);
}

#[test]
fn the_tables_of_limits_and_extensions_are_those_of_the_code() {
    let limits: Vec<_> = table("### 2.4", "limit")
        .iter()
        .map(|row| (row[0], row[1].parse::<usize>().expect("a number")))
        .collect();
    assert_eq!(
        limits,
        [
            ("version", VERSION.into()),
            ("bytes of a body", MAX_BODY),
            ("bytes of an echo", MAX_ECHO),
            ("bytes of an error's text", MAX_TEXT),
            ("bytes of a proof", MAX_PROOF),
            ("bytes of a name", MAX_NAME),
            ("generations of a lineage", MAX_LINEAGE),
            ("extensions of a message", MAX_EXTENSIONS),
            ("bytes of a message's extensions", MAX_EXTENSION_BYTES),
            (
                "bytes of an `Entry` without its name and its body",
                ENTRY_OVERHEAD
            ),
            ("bytes that hold every message without a body", MAX_CONTROL),
        ]
    );
    let tags: Vec<_> = table("### 2.2", "tag").iter().map(|row| row[0]).collect();
    let code = [
        binary::TAG_PADDING,
        binary::TAG_PROOF,
        binary::TAG_LINEAGE,
        binary::TAG_COOKIE,
    ];
    assert_eq!(tags, code.map(|tag| tag.to_string()));
}

const HELLO: Hello<'static> = Hello {
    version_min: 1,
    version_max: 1,
    suite: 0,
    key_id: 0,
    flags: 0,
    nonce: 0x1f2e_3d4c_5b6a_7988,
    device: *b"thermometer-0017",
    max_frame: 512,
    credit: 16,
    keepalive: 60,
    proof: b"",
    cookie: None,
};

const WELCOME: Welcome<'static> = Welcome {
    version: 1,
    suite: 0,
    flags: 0,
    nonce: HELLO.nonce,
    session: 0x8899_aabb_ccdd_eeff,
    store: 0x0102_0304_0506_0708,
    generation: 0,
    keepalive: 60,
    max_body: 400,
    window: 4,
    proof: b"",
    lineage: Lineage::NONE,
};

const JOIN: Join<'static> = Join {
    slot: 0,
    flags: 0,
    cursor: 0,
    history: u32::MAX,
    room: b"lab",
    name: b"probe",
};

const JOINED: Joined = Joined {
    slot: 0,
    room: 3,
    up_seq: 0,
    rejects: 0,
    start: 0,
    head: 1,
    members: 2,
    presence: 5,
};

const FIRST_ENTRY: Entry<'static> = Entry {
    room: 3,
    offset: 1,
    flags: 0,
    from: "alice",
    body: b"how warm is it?",
};

const POST: Message<'static> = Message::Post {
    slot: 0,
    seq: 1,
    body: b"21.5 C",
};

const ACK: Message<'static> = Message::Ack {
    slot: 0,
    up_seq: 1,
    rejects: 0,
};

const OWN_MARKER: Entry<'static> = Entry {
    room: 3,
    offset: 2,
    flags: Entry::OWN,
    from: "",
    body: b"",
};

const BYE: Bye = Bye {
    reason: ByeReason::Done,
    retry_after: 0,
};

const SESSION: [(char, Message<'static>); 10] = [
    ('>', Message::Hello(HELLO)),
    ('<', Message::Welcome(WELCOME)),
    ('>', Message::Join(JOIN)),
    ('<', Message::Joined(JOINED)),
    ('<', Message::Entry(FIRST_ENTRY)),
    ('>', POST),
    ('<', ACK),
    ('<', Message::Entry(OWN_MARKER)),
    (
        '>',
        Message::Credit {
            slot: 0,
            cursor: 2,
            window: 16,
        },
    ),
    ('>', Message::Bye(BYE)),
];

/// The code block of section 8.
fn example() -> &'static str {
    let section = &DOC[DOC.find("\n## 8.").expect("section 8")..];
    let block = section.split("```").nth(1).expect("a code block");
    block.strip_prefix("text\n").expect("a block of text")
}

/// The messages of the example: the way, the name, and the bytes with their length.
fn example_messages() -> Vec<(char, &'static str, Vec<u8>)> {
    let mut messages: Vec<(char, &str, Vec<u8>)> = Vec::new();
    for line in example().lines() {
        if let Some((way, name)) = line.split_once(' ').filter(|(way, _)| way.len() == 1) {
            messages.push((way.chars().next().expect("a way"), name, Vec::new()));
        } else {
            let bytes = line.trim_start().split("  ").next().expect("bytes");
            let (.., message) = messages.last_mut().expect("a message has begun");
            message.extend(
                bytes
                    .split_whitespace()
                    .map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")),
            );
        }
    }
    messages
}

/// Writes `message` the way that the document does.
fn annotate(way: char, name: &str, message: &Message<'_>) -> String {
    let mut frame = [0; 256];
    let len = binary::encode(message, &mut frame).expect("it fits");
    let mut out = format!("{way} {name}\n");
    let mut line = |bytes: &[u8], field: &str, value: &dyn Display| {
        for (at, piece) in bytes.chunks(8).enumerate() {
            let hex: Vec<_> = piece.iter().map(|byte| format!("{byte:02x}")).collect();
            let hex = hex.join(" ");
            if at == 0 {
                writeln!(out, "  {hex:<24} {field} = {value}").expect("a string takes all");
            } else {
                writeln!(out, "  {hex}").expect("a string takes all");
            }
        }
    };
    line(
        &u32::try_from(len).expect("short").to_be_bytes(),
        "length",
        &len,
    );
    let mut rest = &frame[..len];
    let mut rows = table(&format!("### {name}\n"), "field").into_iter();
    rows.next();
    let (kind, tail) = rest.split_at(1);
    line(kind, "kind", &name);
    rest = tail;
    for row in rows {
        let width: usize = row[1].split(' ').next().unwrap().parse().expect("a width");
        let runs = row[1].ends_with("+ n");
        let (number, tail) = rest.split_at(width);
        rest = tail;
        let value = number
            .iter()
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        if runs {
            let (run, tail) = rest.split_at(usize::try_from(value).expect("short"));
            rest = tail;
            line(number, &format!("length of {}", row[0]), &value);
            line(run, row[0], &format!("{:?}", String::from_utf8_lossy(run)));
        } else if ["magic", "device"].contains(&row[0]) {
            line(
                number,
                row[0],
                &format!("{:?}", String::from_utf8_lossy(number)),
            );
        } else if ["nonce", "session", "store"].contains(&row[0]) {
            line(number, row[0], &format!("{value:#018x}"));
        } else {
            line(number, row[0], &value);
        }
    }
    assert!(rest.is_empty(), "the table of {name} is too short");
    out
}

#[test]
fn the_example_decodes_to_the_session_that_it_tells() {
    // [F-LEN-1] [W-RUN-1]
    let messages = example_messages();
    assert_eq!(messages.len(), SESSION.len());
    for ((way, name, bytes), (want_way, want)) in messages.iter().zip(SESSION) {
        let (length, frame) = bytes.split_first_chunk::<4>().expect("a length");
        assert_eq!(u32::from_be_bytes(*length) as usize, frame.len(), "{name}");
        let decoded = binary::decode(frame).expect("the document is right");
        assert_eq!(
            (*way, decoded.message, decoded.skipped),
            (want_way, want, 0)
        );
    }
}

#[test]
fn the_example_is_annotated_with_what_its_bytes_mean() {
    let written: String = example_messages()
        .iter()
        .map(|(way, name, bytes)| {
            let decoded = binary::decode(&bytes[4..]).expect("the document is right");
            annotate(*way, name, &decoded.message)
        })
        .collect();
    assert_eq!(example(), written);
}

/// Whether `text` is like `W-HELLO-3`.
fn is_id(text: &str) -> bool {
    let mut parts = text.split('-');
    let (area, word, number) = (parts.next(), parts.next(), parts.next());
    parts.next().is_none()
        && area.is_some_and(|a| a.len() == 1 && "FWDSPTEL".contains(a))
        && word.is_some_and(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_uppercase()))
        && number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The ids in brackets that `text` has, in order.
fn ids(text: &str) -> Vec<&str> {
    text.split('[')
        .skip(1)
        .filter_map(|tail| tail.split_once(']'))
        .map(|(id, _)| id)
        .filter(|id| is_id(id))
        .collect()
}

fn ids_in_sources(folder: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                ids_in_sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a readable source");
            found.extend(ids(&source).into_iter().map(str::to_owned));
        }
    }
}

/// The ids that no test names, and why none can. What can be tested has no place here.
const UNTESTED: [(&str, &str); 4] = [
    (
        "E-TEXT-1",
        "binds programs, which are no part of the protocol's machines",
    ),
    ("P-WHO-2", "allows something and demands nothing"),
    ("S-OPEN-2", "whoever drives the machine draws the nonces"),
    ("W-ADD-1", "binds later versions of the text"),
];

#[test]
fn every_id_stands_once_and_counts_on() {
    let mut last: BTreeMap<&str, u32> = BTreeMap::new();
    for id in ids(DOC) {
        let (area, number) = id.rsplit_once('-').expect("an id has a number");
        let before = last.insert(area, number.parse().expect("a number"));
        assert_eq!(last[area], before.unwrap_or(0) + 1, "{id}");
    }
    assert!(last.len() > 20, "the document has ids");
    // A list item that binds has its id first.
    for line in DOC.lines().filter(|line| line.starts_with("- ")) {
        assert_eq!(ids(line).len(), 1, "{line}");
    }
}

#[test]
fn tests_name_every_id_that_stands_in_the_document_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = BTreeSet::new();
    for folder in ["core/src", "adapters", "tests", "firmware-sim"] {
        ids_in_sources(&root.join(folder), &mut named);
    }
    let defined: BTreeSet<_> = ids(DOC).into_iter().map(str::to_owned).collect();
    let unknown: Vec<_> = named.difference(&defined).collect();
    assert!(unknown.is_empty(), "not in the document: {unknown:?}");
    let uncovered: Vec<_> = defined.difference(&named).map(String::as_str).collect();
    let expected = UNTESTED.map(|(id, _)| id);
    assert_eq!(
        uncovered, expected,
        "a test names an id as `[AREA-WORD-1]` in a comment"
    );
}

#[test]
fn the_magic_is_the_one_in_the_document() {
    // [W-HELLO-1]
    let magic = table("### Hello\n", "field")[1][2];
    assert_eq!(
        magic,
        format!("the ASCII letters `{}`", str::from_utf8(&MAGIC).unwrap())
    );
}
