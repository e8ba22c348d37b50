//! What cannot be is one clear line and an exit code.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::process::{Ended, Running, halloo};

#[track_caller]
fn run(mut command: Command) -> Ended {
    Running::spawn(command.stdin(Stdio::null())).wait()
}

/// Exits with `code` and says one line on stderr that has `part`.
#[track_caller]
fn check(args: &[&str], code: i32, part: &str) {
    check_ended(&run(halloo(args)), args, code, part);
}

#[track_caller]
fn check_ended(ended: &Ended, args: &[&str], code: i32, part: &str) {
    let line = match &*ended.err {
        [line] => line,
        other => panic!("{args:?}: {other:#?}"),
    };
    assert!(
        line.starts_with("error: ") && line.contains(part),
        "{args:?}: {line}"
    );
    assert_eq!(ended.code, Some(code), "{args:?}: {line}");
    assert_eq!(ended.out, [""; 0], "{args:?}");
}

#[test]
fn wrong_arguments_are_one_line_and_exit_2() {
    check(&["shout"], 2, "unrecognized subcommand 'shout'");
    check(&["chat"], 2, "--room <ROOM>, --name <NAME>, <URL>");
    check(
        &["serve", "--max-body", "x"],
        2,
        "invalid value 'x' for '--max-body",
    );
    check(
        &["serve", "--log", "loud"],
        2,
        "possible values: off, error, warn",
    );
    check(&["serve", "--listne", "x"], 2, "'--listen'");
    check(
        &["echo", "tcp://127.0.0.1:1", "-l", "-c", "1"],
        2,
        "cannot be used with",
    );
}

#[test]
fn a_url_that_cannot_be_is_one_line_with_a_good_one_and_exit_2() {
    for (url, part) in [
        ("foo://x", "does not start with a known scheme"),
        ("127.0.0.1", "does not start with a known scheme"),
        ("", "does not start with a known scheme"),
        ("echo+tcp://127.0.0.1", "has no port"),
        ("tcp://:7", "has no host"),
        ("tcp:127.0.0.1:7", "//"),
        ("tcp://127.0.0.1:65536", "65536"),
        ("tcp://127.0.0.1:7/room", "/room"),
        ("unix:", "has no path"),
        ("tcp://127.0.0.1:7?color=red", "color"),
    ] {
        check(&["serve", "--listen", url], 2, part);
        let ended = run(halloo(&["serve", "--listen", url]));
        assert!(ended.err[0].contains("a good one is `"), "{ended:?}");
        if url != "echo+tcp://127.0.0.1" {
            check(&["chat", url, "--room", "lab", "--name", "ann"], 2, part);
            check(&["echo", url], 2, part);
        }
    }
    // What steers a terminal is shown, and a line more is none.
    for (url, part) in [
        ("tcp://127.0.0.1:7?\x1b[2J=x", "\\u{1b}[2J"),
        ("\x1b[2J", "\\u{1b}[2J"),
        ("x\ny", "`x\\ny`"),
    ] {
        check(&["serve", "--listen", url], 2, part);
    }
    // What is no address of this machine is told once.
    check(
        &["serve", "--listen", "tcp://192.0.2.1:7"],
        2,
        "is no address of this machine",
    );
    let tom = "greet+tcp://127.0.0.1:0?text=Tom & Jerry";
    check(
        &["serve", "--listen", tom],
        2,
        "an & inside a value is written %26",
    );
    let twice = [
        "serve",
        "--listen",
        "echo+tcp://[::1]:7",
        "--listen",
        "tcp://[::1]:7",
    ];
    check(
        &twice,
        2,
        "chat+tcp://[::1]:7 is where echo+tcp://[::1]:7 is",
    );
    check(
        &["serve", "--listen", "json+udp://127.0.0.1:0"],
        2,
        "is not served: chat, echo and greet",
    );
    check(
        &["chat", "echo+tcp://127.0.0.1:7", "-r", "lab", "-n", "ann"],
        2,
        "is not chat",
    );
    check(&["echo", "chat+tcp://127.0.0.1:7"], 2, "is not echo");
}

#[test]
fn a_name_that_cannot_be_is_one_line_and_exit_2_before_anything_is_connected() {
    // Nothing listens there.
    let url = "tcp://127.0.0.1:1";
    let long = "a".repeat(33);
    for (room, name, part) in [
        ("", "ann", "the name is empty"),
        (&*long, "ann", "longer than 32 bytes"),
        ("Lab", "ann", "a-z 0-9 . _ -"),
        ("a\nb", "ann", "not allowed"),
        ("lab", "", "the name is empty"),
        ("lab", &*long, "longer than 32 bytes"),
        ("lab", "a\tb", "not allowed"),
        ("lab", "a\u{1b}[2Jb", "not allowed"),
        ("lab", "a\u{202e}b", "not allowed"),
    ] {
        check(&["chat", url, "--room", room, "--name", name], 2, part);
    }
}

#[test]
fn limits_that_cannot_be_are_told_by_their_options() {
    check(
        &["serve", "--max-rooms", "0"],
        2,
        "--max-rooms is 0: at least 1",
    );
    check(&["serve", "--max-members", "0"], 2, "--max-members is 0");
    check(
        &["serve", "--max-connections", "0"],
        2,
        "--max-connections is 0",
    );
    check(&["serve", "--room-posts", "0"], 2, "--room-posts is 0");
    check(
        &["serve", "--room-bytes", "100"],
        2,
        "--room-bytes is 100: a log has to hold",
    );
    let most = usize::MAX.to_string();
    check(
        &["serve", "--max-rooms", &most],
        2,
        "more than this machine has",
    );
    check(
        &["serve", "--max-members", &most],
        2,
        "more than this machine has",
    );
}

#[test]
fn an_address_in_use_is_one_line_and_exit_2() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = tcp.local_addr().unwrap().to_string();
    check(
        &["serve", "--listen", &format!("chat+tcp://{at}")],
        2,
        &format!("{at} is in use"),
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = udp.local_addr().unwrap().to_string();
    check(
        &["serve", "--listen", &format!("echo+udp://{at}")],
        2,
        &format!("{at} is in use"),
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("live.sock");
    let live = UnixListener::bind(&path).unwrap();
    let url = format!("chat+unix:{}", path.display());
    check(&["serve", "--listen", &url], 2, "is in use");
    drop(live);
}

#[test]
fn a_name_without_address_is_one_line_and_exit_6_or_2_for_a_hub() {
    // No resolver is asked for a label of more than 63 characters.
    let url = format!("tcp://{}.invalid:7", "a".repeat(64));
    check(&["serve", "--listen", &url], 2, "has no address");
    check(
        &["chat", &url, "-r", "lab", "-n", "ann"],
        6,
        "has no address",
    );
    check(&["echo", &url], 6, "has no address");
}

#[test]
fn a_path_that_is_no_socket_is_one_line_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes.txt");
    fs::write(&file, "keep me").unwrap();
    let url = format!("unix:{}", file.display());
    check(&["serve", "--listen", &url], 2, "is not a socket");
    check(
        &["chat", &url, "-r", "lab", "-n", "ann"],
        2,
        "is not a socket",
    );
    check(&["echo", &url], 2, "is not a socket");
    assert_eq!(fs::read_to_string(&file).unwrap(), "keep me");
    let nowhere = format!("unix:{}/no/such/dir/s", dir.path().display());
    check(&["serve", "--listen", &nowhere], 2, "is not there");
    let long = format!("unix:{}/{}", dir.path().display(), "a".repeat(120));
    check(&["serve", "--listen", &long], 2, "path must be shorter");
    check(&["echo", &long], 2, "path must be shorter");
}

#[test]
fn what_is_not_permitted_is_one_line_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let url = format!("unix:{}/s", closed.display());
    let chat = ["chat", &url, "-r", "lab", "-n", "ann"];
    for args in [&["serve", "--listen", &url][..], &chat, &["echo", &url]] {
        let ended = run(unprivileged(dir.path(), &closed, args));
        check_ended(&ended, args, 2, "not permitted");
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The command as a user who may not enter `closed`.
pub(crate) fn unprivileged(dir: &Path, closed: &Path, args: &[&str]) -> Command {
    fs::set_permissions(closed, fs::Permissions::from_mode(0o000)).unwrap();
    if !geteuid().is_root() {
        return halloo(args);
    }
    // Root may do all: somebody else it is then, with a copy of the program where he can run it.
    const NOBODY: u32 = 65_534;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.join("halloo");
    if !program.exists() {
        let from = env!("CARGO_BIN_EXE_halloo");
        // A link cannot be busy with being written, as a copy can while others fork.
        if fs::hard_link(from, &program).is_err() {
            fs::copy(from, &program).unwrap();
        }
    }
    let mut command = Command::new(program);
    command.args(args).env_clear();
    command.current_dir(dir).uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn a_refused_connection_is_exit_3() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", gone.local_addr().unwrap());
    drop(gone);
    check(
        &["chat", &url, "-r", "lab", "-n", "ann"],
        3,
        "refused the connection",
    );
    check(&["echo", &url], 3, "refused the connection");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stale.sock");
    let url = format!("unix:{}", path.display());
    check(&["chat", &url, "-r", "lab", "-n", "ann"], 3, "is not there");
    drop(UnixListener::bind(&path).unwrap());
    check(
        &["chat", &url, "-r", "lab", "-n", "ann"],
        3,
        "refused the connection",
    );
    check(&["echo", &url], 3, "refused the connection");
}

#[test]
fn a_hub_that_does_not_answer_is_exit_4() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", silent.local_addr().unwrap());
    let chat = ["chat", &url, "-r", "lab", "-n", "ann", "--timeout", "1"];
    check(&chat, 4, "did not answer the greeting in time");
}

#[test]
fn what_is_no_hub_is_exit_5() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let stage = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut web, _) = listener.accept().unwrap();
        web.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        web.read_to_end(&mut Vec::new()).ok();
        // The next one is cut off.
        drop(listener.accept().unwrap());
    });
    let chat = ["chat", &url, "-r", "lab", "-n", "ann"];
    check(&chat, 5, "what it must not");
    check(&chat, 5, "the connection");
    stage.join().unwrap();
}

#[test]
fn help_and_version_are_printed_and_exit_0() {
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["chat", "--help"],
        &["echo", "--help"],
        &["log", "--help"],
    ] {
        let mut command = halloo(args);
        command.env("COLUMNS", "80");
        let ended = run(command);
        assert!(ended.out.iter().all(|line| line.len() <= 80), "{ended:#?}");
        let text = ended.out.join("\n");
        assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{args:?}");
        assert!(
            text.contains("Example") && text.contains("Exit codes:"),
            "{text}"
        );
        assert!(
            text.contains("\n  halloo ") && !text.contains('\x1b'),
            "{text}"
        );
    }
    let ended = run(halloo(&["--version"]));
    assert_eq!(ended.out, [concat!("halloo ", env!("CARGO_PKG_VERSION"))]);
    let ended = run(halloo(&[]));
    assert_eq!((ended.code, ended.out.len()), (Some(2), 0), "{ended:?}");
    assert!(ended.err.len() > 3, "{ended:?}");
}

#[test]
fn a_config_file_that_is_not_utf_8_is_told_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    fs::write(&path, b"# a comment\nlisten = ['unix:/caf\xe9']\n").unwrap();
    let path = path.display().to_string();
    check(
        &["serve", "--config", &path],
        2,
        &format!("{path}:2: it is not UTF-8"),
    );
}
