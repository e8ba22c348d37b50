//! The programs of `adapters/examples`, as they are run, with plain Python at the other end.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use halloo_std::socket::{Options, TcpListener, TcpStream};
use proptest::prelude::*;
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::process::{Ended, Running};
use crate::python::has_python;
use crate::tutorials::{prints, python};

#[expect(dead_code, reason = "when it is shown is for the command line")]
#[path = "../../examples/positions/track.rs"]
mod track;

use track::{FURTHER, Position, Track, place};

const HOSTS: [&str; 2] = ["127.0.0.1", "[::1]"];

/// Where cargo puts an example. It builds them for `cargo test`, but not for `cargo test --test cli`.
fn built(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let example = profile.join("examples").join(name);
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let sources: Vec<PathBuf> = match fs::read_dir(sources.join(name)) {
        Ok(folder) => folder.map(|file| file.unwrap().path()).collect(),
        Err(_) => vec![sources.join(format!("{name}.rs"))],
    };
    let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified());
    let is_fresh = changed(&example).is_ok_and(|built| {
        let mut changes = sources.iter().map(|source| changed(source).unwrap());
        changes.all(|change| change <= built)
    });
    if !is_fresh {
        let profile_name = match profile.file_name().and_then(|name| name.to_str()).unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "halloo-std", "--example", name]);
        cargo.args(["--profile", profile_name, "--target-dir"]);
        cargo.arg(profile.parent().unwrap());
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.unwrap().success(), "{name} does not build");
    }
    example
}

fn example(name: &str, args: &[&str]) -> Running {
    Running::spawn(Command::new(built(name)).args(args))
}

/// A bad end, with one line that says why.
#[track_caller]
fn fails(name: &str, args: &[&str], code: i32, part: &str) {
    let ended = example(name, args).wait();
    assert_eq!((ended.code, ended.out.len()), (Some(code), 0), "{ended:?}");
    let [line] = &*ended.err else {
        panic!("{ended:?}");
    };
    assert!(line.starts_with(name) && line.contains(part), "{line}");
}

/// A port of `host` that nobody else takes, and nobody listens on yet.
fn held(host: &str) -> (Socket, SocketAddr) {
    let any: SocketAddr = format!("{host}:0").parse().unwrap();
    let socket = Socket::new(Domain::for_address(any), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn a_port_monitor_tells_each_cause_and_only_what_changes() {
    let options = Options {
        backlog: 0,
        ..Options::default()
    };
    let quick = Options {
        connect_timeout: Some(Duration::from_millis(100)),
        ..Options::default()
    };
    for host in HOSTS {
        let up = TcpListener::bind(&*format!("{host}:0"), &Options::default()).unwrap();
        let (_port, refused) = held(host);
        // Linux drops further attempts once the queue of a listener is full.
        let full = TcpListener::bind(&*format!("{host}:0"), &options).unwrap();
        let mut kept = Vec::new();
        while let Ok(stream) = TcpStream::connect(full.local_addr().unwrap(), &quick) {
            kept.push(stream);
            assert!(kept.len() < 100, "the queue never fills");
        }
        let addresses = [
            up.local_addr().unwrap(),
            refused,
            full.local_addr().unwrap(),
        ];
        let [up, refused, full] = addresses.map(|address| address.to_string());
        let nowhere = "no such host:80";
        let ended = example(
            "port_monitor",
            &["0.01", "2", &up, &refused, &full, nowhere],
        )
        .wait();
        assert_eq!((ended.code, ended.err.len()), (Some(1), 0), "{ended:?}");
        let [is_up, others @ ..] = &*ended.out else {
            panic!("{ended:?}");
        };
        assert!(is_up.starts_with(&format!("{up} up in ")), "{is_up}");
        let expected = [
            format!("{refused} down: refused"),
            format!("{full} down: timed out"),
            format!("{nowhere} down: unresolved"),
        ];
        assert_eq!(others, expected);
        let ended = example("port_monitor", &["0.01", "3", &up]).wait();
        assert_eq!((ended.code, ended.out.len()), (Some(0), 1), "{ended:?}");
    }
    fails("port_monitor", &[], 2, "SECONDS ROUNDS HOST:PORT");
    fails("port_monitor", &["-1", "1"], 2, "negative");
}

#[test]
fn a_port_monitor_sees_a_plain_server_go_and_come_back() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let (_port, at) = held(host);
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        let serve = || {
            let server = python("example_port.py", &[&ip, &port]);
            server.out("listens");
            server
        };
        let monitor = example("port_monitor", &["0.01", "0", &at.to_string()]);
        assert_eq!(monitor.out(""), format!("{at} down: refused"));
        for _ in 0..2 {
            let server = serve();
            assert!(monitor.out("").starts_with(&format!("{at} up in ")));
            drop(server);
            assert_eq!(monitor.out(""), format!("{at} down: refused"));
        }
    }
}

fn daemon(path: &str) -> Running {
    let daemon = example("control_socket", &[path]);
    daemon.out("listening on ");
    daemon
}

#[test]
fn a_control_socket_obeys_plain_clients_one_after_another_and_at_once() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.sock");
    let at = path.to_str().unwrap();
    let running = daemon(at);
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let say = |lines: &[&str]| prints("example_control.py", &[&["say", at], lines].concat());
    assert_eq!(
        say(&["status", "set interval 250", "set level 7", "status"]),
        [
            "ok interval=1000 level=0",
            "ok interval=250",
            "ok level=7",
            "ok interval=250 level=7"
        ]
    );
    let wrong = "error: say status, set NAME NUMBER, or stop";
    let lines = [
        "set colour 1",
        "set level red",
        "set level",
        "",
        "dance",
        "set interval 1000",
    ];
    let answers = [
        "error: no such setting",
        "error: not a number",
        wrong,
        wrong,
        wrong,
    ];
    assert_eq!(say(&lines)[..5], answers);
    // What is too long ends its own connection only, and a client that is silent holds up nobody.
    let long = "x".repeat(129);
    assert_eq!(say(&[&long[1..], &long]), [wrong, "closed"]);
    let silent = std::os::unix::net::UnixStream::connect(&path).unwrap();
    assert_eq!(prints("example_control.py", &["many", at]), ["all right"]);
    assert_eq!(say(&["stop"]), ["ok bye"]);
    assert_eq!(running.wait().code, Some(0));
    assert!(!path.exists());
    drop(silent);
}

#[test]
fn a_control_socket_takes_the_place_of_a_dead_daemon_and_of_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("daemon.sock");
    let at = path.to_str().unwrap();
    let killed = daemon(at);
    fails("control_socket", &[at], 1, "in use");
    killed.signal(Signal::KILL);
    killed.wait();
    assert!(path.exists(), "there is nothing stale");
    daemon(at);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    fails("control_socket", &[at], 1, "is not a socket");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fails("control_socket", &[], 1, "PATH");
}

#[test]
fn a_sensor_obeys_and_loses_and_doubles_nothing_when_the_hub_is_killed() {
    const READINGS: usize = 500;
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let (_port, at) = held(host);
        let url = format!("chat+tcp://{at}");
        let hub = || {
            let hub = Running::start(&["serve", "--listen", &url, "--data", data]);
            hub.out("listening on ");
            hub
        };
        let device = |room, name| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/device.py");
            let (ip, port) = (at.ip().to_string(), at.port().to_string());
            let mut python = Command::new("python3");
            let device = Running::spawn(python.args(["-Bu", script, &ip, &port, room, name]));
            device.out("joined");
            device
        };
        let first = hub();
        let (mut reader, mut commander) = (device("readings", "ann"), device("commands", "bob"));
        // No second reading within the minute that a test waits, unless it obeys.
        let sensor = example(
            "sensor",
            &[&url, "thermometer", "60000", &READINGS.to_string()],
        );
        let mut entries = vec![reader.out("entry")];
        commander.say("interval=65536");
        commander.say("interval=2");
        assert_eq!(sensor.out(""), "obeys interval=2");
        while entries.len() < 10 {
            entries.push(reader.out("entry"));
        }
        first.signal(Signal::KILL);
        first.wait();
        sensor.err("");
        let _second = hub();
        while entries.len() < READINGS {
            entries.push(reader.out("entry"));
        }
        for (entry, number) in entries.iter().zip(1..) {
            let expected = format!("{number} entry b'thermometer' b'{number} ");
            assert!(entry.starts_with(&expected), "{entry}");
        }
        let ended = sensor.wait();
        let expected = ["connected again", "500 readings acknowledged"];
        assert_eq!(
            (ended.code, &*ended.out),
            (Some(0), &expected.map(String::from)[..])
        );
        reader.say("all of it");
        let next = reader.out("own");
        assert_eq!(
            next,
            format!("{} own", READINGS + 1),
            "something is there twice"
        );
    }
    let (_port, nobody) = held("127.0.0.1");
    let url = format!("chat+tcp://{nobody}");
    fails(
        "sensor",
        &[&url, "thermometer", "10", "1"],
        1,
        "refused the connection",
    );
    fails("sensor", &[&url], 1, "URL NAME MILLISECONDS COUNT");
}

#[test]
fn positions_go_to_plain_receivers_of_both_families_and_to_all_by_broadcast() {
    const COUNT: &str = "10";
    if !has_python() {
        return;
    }
    let hosts = ["127.0.0.1", "::1", "127.255.255.255"];
    let takers = hosts.map(|host| python("example_positions.py", &["take", host, COUNT]));
    let mut args = vec!["send".to_string(), COUNT.into()];
    for (host, taker) in hosts.iter().zip(&takers) {
        let bracketed = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_string()
        };
        args.push(format!("{bracketed}:{}", taker.out("")));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ended = example("positions", &args).wait();
    assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    for taker in takers {
        let Ended { code, out, err } = taker.wait();
        assert_eq!(
            (code, &*out),
            (Some(0), &["all right".to_string()][..]),
            "{err:?}"
        );
    }
    fails(
        "positions",
        &["show", "127.0.0.1:99999", "1"],
        1,
        "127.0.0.1:99999",
    );
    fails(
        "positions",
        &["send", "x", "127.0.0.1:1"],
        1,
        "\"x\" is no number",
    );
    fails("positions", &[], 1, "show ADDRESS FRAMES");
}

#[test]
fn positions_of_a_plain_sender_move_one_way_over_a_bad_network() {
    if !has_python() {
        return;
    }
    for host in HOSTS {
        let shown = example("positions", &["show", &format!("{host}:0"), "0"]);
        let at: SocketAddr = shown.out("").replace("listening on ", "").parse().unwrap();
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        let sender = python("example_positions.py", &["go", &ip, &port]);
        let who = sender.out("");
        let (mut last, mut frames) = (0.0, 0);
        let end = loop {
            let line = shown.out("");
            let Some(place) = line.strip_prefix(&format!("{who} ")) else {
                panic!("{line}");
            };
            let Some((x, y)) = place.split_once(' ') else {
                break place.to_string();
            };
            let [x, y] = [x, y].map(|number| number.parse::<f64>().unwrap());
            assert!(x >= last && y == -x, "{line} after {last}");
            (last, frames) = (x, frames + 1);
        };
        assert_eq!(end, "gone");
        let newest: f64 = sender.out("").parse().unwrap();
        // No further than it said.
        assert!(
            frames > 0 && last <= (newest + FURTHER) / 20.0 + 0.01,
            "{last}"
        );
        assert_eq!(sender.wait().code, Some(0));
    }
}

/// A circle as the example goes, or a straight line, at a millisecond.
fn on_the_way(millis: u64, is_round: bool) -> (f64, f64) {
    let turn = millis as f64 / 10_000.0 * std::f64::consts::TAU;
    match is_round {
        true => (10.0 * turn.cos(), 10.0 * turn.sin()),
        false => (millis as f64 / 100.0, 1.0),
    }
}

fn position(seq: u16, millis: u64, is_round: bool) -> Position {
    let (x, y) = on_the_way(millis, is_round);
    let at = [x as f32, y as f32];
    Position { seq, millis, at }
}

fn position_of_any_kind() -> impl Strategy<Value = Position> {
    (any::<u16>(), any::<u64>(), -1e6_f32..1e6, -1e6_f32..1e6).prop_map(|(seq, millis, x, y)| {
        Position {
            seq,
            millis,
            at: [x, y],
        }
    })
}

proptest! {
    #[test]
    fn a_position_comes_back_from_its_bytes_and_no_other_length_is_one(
        position in position_of_any_kind(),
        cut in 0..22_usize,
    ) {
        let bytes = position.encode();
        prop_assert_eq!(bytes.len(), 22);
        prop_assert_eq!(Position::decode(&bytes), Some(position));
        prop_assert_eq!(Position::decode(&bytes[..cut]), None);
        prop_assert_eq!(Position::decode(&[&bytes[..], b"x"].concat()), None);
        for (axis, nowhere) in [(0, f32::NAN), (1, f32::INFINITY), (1, f32::NEG_INFINITY)] {
            let mut nowhere_at = position;
            nowhere_at.at[axis] = nowhere;
            prop_assert_eq!(Position::decode(&nowhere_at.encode()), None);
        }
    }

    #[test]
    fn a_place_is_between_the_two_around_it_and_goes_one_way(
        steps in prop::collection::vec((1..200_u64, 0.0..5.0_f32), 1..8),
        mut milliss in prop::collection::vec(-500.0..2500.0_f64, 2..50),
    ) {
        let mut kept = Vec::new();
        let (mut millis, mut x) = (0, 0.0);
        for (seq, (wait, way)) in (0..).zip(steps) {
            (millis, x) = (millis + wait, x + way);
            kept.push(Position { seq, millis, at: [x, -x] });
        }
        milliss.sort_by(f64::total_cmp);
        let mut last = f64::MIN;
        for millis in milliss {
            let [x, y] = place(&kept, millis).unwrap();
            prop_assert!((x + y).abs() < 1e-6);
            prop_assert!(x >= last - 1e-6, "{} after {}", x, last);
            last = x;
            let before = kept.iter().rev().find(|p| p.millis as f64 <= millis).unwrap_or(&kept[0]);
            let behind = kept.iter().find(|p| p.millis as f64 >= millis);
            let most = match (behind, &*kept) {
                (Some(behind), _) => behind.at[0].into(),
                (None, [.., from, to]) => {
                    let speed = f64::from(to.at[0] - from.at[0]) / (to.millis - from.millis) as f64;
                    f64::from(to.at[0]) + speed * FURTHER
                }
                (None, _) => kept[0].at[0].into(),
            };
            prop_assert!(f64::from(before.at[0]) - 1e-4 <= x && x <= most + 1e-4, "{} of {}", x, most);
        }
    }

    #[test]
    fn what_is_late_or_doubled_changes_nothing_and_numbers_begin_again(
        first in prop_oneof![any::<u16>(), 65_236..=65_535_u16],
        picks in prop::collection::vec(0..300_usize, 1..300),
    ) {
        let all: Vec<_> = (0..300).map(|n| position(first.wrapping_add(n), 33 * u64::from(n), true)).collect();
        let mut track = Track::default();
        let mut newest = None;
        for pick in picks {
            let before = track.kept.clone();
            track.take(all[pick], 0.0);
            match newest {
                Some(newest) if pick <= newest => prop_assert_eq!(&track.kept, &before),
                _ => {
                    newest = Some(pick);
                    prop_assert_eq!(track.kept.last(), Some(&all[pick]));
                }
            }
            let again = Position { millis: u64::MAX, ..*track.kept.last().unwrap() };
            let before = track.kept.clone();
            track.take(again, 0.0);
            prop_assert_eq!(&track.kept, &before);
            prop_assert!(track.kept.len() <= 8);
        }
    }

    #[test]
    fn loss_of_every_nth_leaves_a_small_error(
        first in any::<u16>(),
        nth in 2..10_u64,
        ticks in 100..3000_u64,
        is_round in any::<bool>(),
    ) {
        let mut track = Track::default();
        for n in (0..=ticks).filter(|n| n % nth != 0) {
            let seq = first.wrapping_add(n as u16);
            track.take(position(seq, n * 1000 / 30, is_round), n as f64 * 1000.0 / 30.0);
        }
        let newest = track.kept.last().unwrap().millis;
        for late in 0..=100 {
            let millis = newest - late;
            let [x, y] = place(&track.kept, millis as f64).unwrap();
            let (true_x, true_y) = on_the_way(millis, is_round);
            // A chord of a circle of 10 that is 67 ms long leaves it by r (1 - cos(w t / 2)).
            let most = 10.0 * (1.0 - (std::f64::consts::TAU * 0.0067 / 2.0).cos()) + 1e-4;
            prop_assert!((x - true_x).hypot(y - true_y) < most, "at {}", late);
        }
    }
}
