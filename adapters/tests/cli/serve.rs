//! The hub as a process: its first lines, its last ones, and its files.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::process::Signal;

use crate::process::{Hub, Running, halloo};

#[test]
fn a_signal_tells_the_members_and_ends_well() {
    for signal in [Signal::INT, Signal::TERM] {
        let hub = Hub::tcp();
        let ann = Running::start(&["chat", hub.url(), "-r", "lab", "-n", "ann", "--follow"]);
        ann.err("you are in lab");
        hub.running.signal(signal);
        ann.err("connection lost, connecting again: the hub said bye");
        let ended = hub.running.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err[0].starts_with("stopped after "), "{ended:?}");
        assert!(
            ended.err[0].contains("1 connection, 0 posts kept"),
            "{ended:?}"
        );
    }
}

#[test]
fn every_listener_is_told_with_its_real_port_and_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("echo.sock");
    // Left over from a hub that was killed.
    drop(UnixListener::bind(&path).unwrap());
    let unix = format!("echo+unix:{}?mode=600", path.display());
    let hub = Hub::start(&[
        "chat+tcp://127.0.0.1:0",
        "echo+udp://[::1]:0",
        "greet+tcp://127.0.0.1:0?text=hi",
        &unix,
    ]);
    assert!(
        hub.urls.iter().all(|url| !url.contains(":0")),
        "{:?}",
        hub.urls
    );
    assert_eq!(hub.urls[3], unix);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
    hub.running.signal(Signal::TERM);
    assert_eq!(hub.running.wait().code, Some(0));
    assert!(!path.exists());
}

#[test]
fn a_body_above_the_limit_is_refused_where_it_is_posted() {
    let args = ["serve", "--listen", "tcp://127.0.0.1:0", "--max-body", "8"];
    let hub = Running::start(&args);
    let line = hub.out("listening on ");
    let url = line.trim_start_matches("listening on ");
    let mut chat = Running::start(&["chat", url, "-r", "lab", "-n", "ann"]);
    chat.say("12345678");
    chat.say("123456789");
    let ended = chat.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.out, ["[lab] ann: 12345678"]);
    let why = "-- the line is not posted: it has 9 bytes, more than the hub takes";
    assert!(ended.err.iter().any(|line| line == why), "{ended:?}");
}

#[test]
fn a_hub_that_is_full_turns_a_room_away_in_words() {
    let args = ["serve", "--listen", "tcp://127.0.0.1:0", "--max-rooms", "1"];
    let hub = Running::start(&args);
    let line = hub.out("listening on ");
    let url = line.trim_start_matches("listening on ");
    let first = Running::start(&["chat", url, "-r", "one", "-n", "ann", "--follow"]);
    first.err("you are in one");
    let ended = Running::start(&["chat", url, "-r", "two", "-n", "bob"]).wait();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let why = "error: the hub refused to let this device join two: the hub is full";
    assert_eq!(ended.err, [why]);
}

#[test]
fn the_log_says_what_it_is_told_to_and_the_option_goes_before_the_variable() {
    let started = |option: Option<&str>, variable: &str| {
        let mut command = halloo(&["serve", "--listen", "tcp://127.0.0.1:0"]);
        command.args(option.map(|level| format!("--log={level}")));
        let hub = Running::spawn(command.env("RUST_LOG", variable));
        hub.out("listening on ");
        hub.signal(Signal::TERM);
        let ended = hub.wait();
        assert_eq!(ended.code, Some(0));
        let text = ended.err.join("\n");
        assert!(!text.contains('\x1b'), "{text:?}");
        text.contains("INFO")
    };
    assert!(!started(None, ""));
    assert!(started(None, "info"));
    assert!(started(None, "halloo_std=info"));
    assert!(!started(Some("warn"), "info"));
    assert!(started(Some("info"), "off"));
}

/// A hub that takes its options from a file with this text, and its listeners.
fn configured(folder: &Path, text: &str, flags: &[&str]) -> Running {
    let file = folder.join("hub.toml");
    fs::write(&file, text).unwrap();
    let args = ["serve", "--config", file.to_str().unwrap()];
    Running::start(&[&args, flags].concat())
}

#[test]
fn a_config_file_opens_its_listeners_and_a_flag_goes_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let text = "listen = ['echo+tcp://127.0.0.1:0', 'greet+udp://127.0.0.1:0?text=Hi']\n\
                shards = 0\n";
    let hub = configured(dir.path(), text, &["--shards", "1"]);
    hub.out("listening on echo+tcp://127.0.0.1:");
    hub.out("listening on greet+udp://127.0.0.1:");
    let hub = configured(
        dir.path(),
        text,
        &["--shards", "1", "--listen", "tcp://127.0.0.1:0"],
    );
    hub.out("listening on chat+tcp://127.0.0.1:");
    hub.signal(Signal::TERM);
    assert_eq!(hub.wait().out, [""; 0]);
}

#[test]
fn a_wrong_config_file_is_told_with_file_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |text: &str, flags: &[&str], parts: &[&str]| {
        let ended = configured(dir.path(), text, flags).wait();
        for part in parts {
            crate::data::check(&ended, 2, part);
        }
    };
    refused(
        "\nmax-rums = 1\n",
        &[],
        &["hub.toml:2: max-rums: unknown field"],
    );
    refused(
        "\nshards = 0\n",
        &["--listen", "tcp://127.0.0.1:0"],
        &["hub.toml:2: shards: "],
    );
    refused(
        "listen = []\n",
        &[],
        &["hub.toml:1: listen: there is no listener"],
    );
    refused(
        "listen = ['json+udp://127.0.0.1:0']\n",
        &[],
        &["hub.toml:1: listen: json+udp://127.0.0.1:0 is not served"],
    );
    refused("shards = 0", &["--shards", "0"], &["error: --shards is 0"]);
    let most = format!("\nmax-rooms = 1\nmax-members = {}\n", i64::MAX);
    refused(
        &most,
        &[],
        &[
            "hub.toml:3: max-members: 512 bytes for each of",
            "--max-members",
        ],
    );
    refused(
        &most.replace("max-members", "room-bytes"),
        &[],
        &["hub.toml:2: max-rooms: "],
    );
    refused(
        &most.replace("max-members", "room-bytes"),
        &["--max-rooms", "1"],
        &["hub.toml:3: room-bytes: "],
    );
    refused(
        "\nkeep-for = '30d'\n",
        &[],
        &["hub.toml:2: keep-for: --keep-for needs a folder"],
    );
    refused(
        "\ndurability = 'disk'\n",
        &[],
        &["hub.toml:2: durability: "],
    );
    refused(
        "\nkeep-for = '30d'\n",
        &["--durability", "disk"],
        &["error: --durability disk needs a folder"],
    );
    let missing = dir.path().join("none.toml");
    let ended = Running::start(&["serve", "--config", missing.to_str().unwrap()]).wait();
    crate::data::check(&ended, 2, "none.toml cannot be read: ");
}
