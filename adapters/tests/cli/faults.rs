//! A data folder that is damaged, full or out of reach: a clear end, and nothing lost by it.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use halloo_core::wire::ByeReason;
use halloo_std::client::{ClientError, Device, Ended, From, Happening, Reconnect, Settings};
use rustix::process::{Signal, geteuid};

use crate::data::{check, refused, serve};
use crate::process::{LONG, Running};

/// Another user than the one who runs the tests.
const NOBODY: u32 = 65_534;

const BODY: [u8; 100] = [b'x'; 100];

fn device(url: &str, name: &str) -> Device {
    let settings = Settings {
        reconnect: Reconnect::Never,
        ..Settings::new(name)
    };
    let mut device = Device::connect(url, settings).unwrap();
    device.join_wait("lab", From::Earliest, LONG).unwrap();
    device
}

/// Posts until so many are acknowledged, or the hub goes; how many were, and why it went.
fn post(url: &str, most: usize) -> (usize, Option<Ended>) {
    let mut device = device(url, "ann");
    let (mut posted, mut acked) = (0, 0);
    while acked < most {
        if posted < most && device.post("lab", &BODY).is_ok() {
            posted += 1;
            continue;
        }
        match device.next(LONG) {
            Ok(Some(Happening::Acked { .. })) => acked += 1,
            Ok(Some(Happening::Disconnected { cause, .. })) => return (acked, Some(cause)),
            Err(ClientError::Ended(cause)) => return (acked, Some(cause)),
            Ok(Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    (acked, None)
}

/// How many entries a new member gets, and how many it is told are missing.
fn read(url: &str) -> (u64, u64) {
    let mut device = device(url, "bob");
    let (mut head, mut at, mut entries) = (None, 0, 0);
    while head != Some(at) {
        match device.next(LONG).unwrap().unwrap() {
            Happening::Joined { head: last, .. } => head = Some(last),
            Happening::Entry { offset, body, .. } => {
                assert_eq!((offset, &*body), (at + 1, &BODY[..]));
                (at, entries) = (offset, entries + 1);
            }
            Happening::Gap { from, to, .. } => {
                assert_eq!(from, at + 1);
                at = to;
            }
            _ => {}
        }
    }
    (entries, at - entries)
}

/// A folder with some commits in it, which no hub uses, and its segments.
fn filled(dir: &Path) -> Vec<PathBuf> {
    let (hub, url) = serve(dir);
    assert_eq!(post(&url, 2000).0, 2000);
    hub.signal(Signal::TERM);
    assert_eq!(hub.wait().code, Some(0));
    segments(dir)
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "journal"))
        .collect();
    segments.sort();
    segments
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

/// The bytes of all files.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The hub does not start there, says why, and leaves all as it is.
#[track_caller]
fn check_refused(dir: &Path, part: &str) {
    let before = contents(dir);
    refused(&["--data", dir.to_str().unwrap()], part);
    assert!(before == contents(dir), "a refused start changed something");
}

#[track_caller]
fn log(command: &str, dir: &Path, code: i32) -> String {
    let ended = Running::start(&["log", command, dir.to_str().unwrap()]).wait();
    assert_eq!(ended.code, Some(code), "{command}: {ended:?}");
    [ended.out, ended.err].concat().join("\n")
}

#[test]
fn a_torn_tail_is_cut_off_and_all_that_was_acknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let last = filled(dir.path()).pop().unwrap();
    let len = fs::metadata(&last).unwrap().len();
    let file = OpenOptions::new().write(true).open(&last).unwrap();
    file.write_all_at(&[0x5a; 333], len).unwrap();
    assert!(log("verify", dir.path(), 0).contains("the next start cuts it off"));
    let (_hub, url) = serve(dir.path());
    assert_eq!(read(&url), (2000, 0));
    assert_eq!(fs::metadata(&last).unwrap().len(), len);
}

#[test]
fn bit_rot_is_refused_named_and_mended_and_costs_the_entry_that_it_hit() {
    let dir = tempfile::tempdir().unwrap();
    let segments = filled(dir.path());
    let said = log("verify", dir.path(), 0);
    assert!(said.contains("2000 entries in 1 room"), "{said}");
    flip(&segments[0], 100_000);
    check_refused(dir.path(), "journal is damaged at byte");
    let said = log("verify", dir.path(), 1);
    assert!(
        said.contains("journal:") && said.contains("1 bad place"),
        "{said}"
    );
    let generation = |said: &str| {
        let (_, from) = said.split_once("the store has generation ").expect(said);
        let (number, _) = from.split_once(" now").expect(said);
        number.parse::<u32>().expect(said)
    };
    let mended = generation(&log("repair", dir.path(), 0));
    assert!(mended > 1);
    let (hub, url) = serve(dir.path());
    assert_eq!(read(&url), (1999, 1));
    let folder = dir.path().to_str().unwrap();
    check(
        &Running::start(&["log", "verify", folder]).wait(),
        2,
        "a hub is using it",
    );
    hub.signal(Signal::TERM);
    hub.wait();
    assert!(log("repair", dir.path(), 0).contains("nothing to mend"));
    let ended = Running::start(&["log", "repair", "--restored", folder]).wait();
    assert!(generation(&ended.out[0]) > mended, "{ended:?}");
    let dump = log("dump", dir.path(), 0);
    assert_eq!(dump.matches(" entry room=0 offset=").count(), 1999);
    assert_eq!(dump.matches(" lost room=0 from=").count(), 1);
    assert!(dump.contains(" open room=0 name=lab\n") && dump.contains(" from=ann body=xxx"));
}

#[test]
fn a_log_command_needs_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("typo");
    for command in ["verify", "dump", "repair"] {
        let folder = nowhere.to_str().unwrap();
        check(
            &Running::start(&["log", command, folder]).wait(),
            2,
            "No such file",
        );
        let folder = dir.path().to_str().unwrap();
        check(
            &Running::start(&["log", command, folder]).wait(),
            2,
            "no log of a hub",
        );
    }
    assert!(!nowhere.exists());
}

#[test]
fn a_folder_from_a_newer_version_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let segment = filled(dir.path()).pop().unwrap();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&segment)
        .unwrap();
    let mut header = [0; 36];
    file.read_exact_at(&mut header, 0).unwrap();
    header[9] = 2;
    let sum = crc32c::crc32c(&header[..32]);
    header[32..].copy_from_slice(&sum.to_be_bytes());
    file.write_all_at(&header, 0).unwrap();
    check_refused(
        dir.path(),
        "has version 2 and this hub knows up to 1: use a newer hub",
    );
    assert!(log("verify", dir.path(), 2).contains("use a newer hub"));
    let before = contents(dir.path());
    assert!(log("repair", dir.path(), 2).contains("use a newer hub"));
    assert!(before == contents(dir.path()));
}

#[test]
fn a_segment_that_was_taken_away_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let hub = Running::start(
        &[
            &[
                "serve",
                "--listen",
                "tcp://127.0.0.1:0",
                "--segment-bytes",
                "64K",
            ],
            &["--data", folder][..],
        ]
        .concat(),
    );
    let line = hub.out("listening on ");
    let url = line.trim_start_matches("listening on ");
    assert_eq!(post(url, 2000).0, 2000);
    hub.signal(Signal::TERM);
    hub.wait();
    let segments = segments(dir.path());
    assert!(segments.len() > 3, "{segments:?}");
    fs::remove_file(&segments[1]).unwrap();
    check_refused(dir.path(), "the file is not there");
    assert!(log("repair", dir.path(), 0).contains("the file is not there"));
    let (_hub, url) = serve(dir.path());
    let (entries, missing) = read(&url);
    assert_eq!(entries + missing, 2000);
    assert!((100..1000).contains(&missing), "{missing}");
}

#[test]
fn a_folder_that_the_user_has_no_right_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let data = closed.join("data");
    let args = [
        "serve",
        "--listen",
        "tcp://127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ];
    let mut command = crate::bad_input::unprivileged(dir.path(), &closed, &args);
    let ended = Running::spawn(&mut command).wait();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    check(&ended, 2, "give the hub's user the right to it");
}

/// Posts until the hub gives up: it says so to its member and on one line, and what it acknowledged
/// is there for the next one.
#[track_caller]
fn check_failure(
    hub: Running,
    folder: &Path,
    part: &str,
    spoil: impl FnOnce(),
    heal: impl FnOnce(),
) {
    let line = hub.out("listening on ");
    spoil();
    let (acked, cause) = post(line.trim_start_matches("listening on "), usize::MAX);
    assert!(
        matches!(cause, Some(Ended::Bye(ByeReason::Storage))),
        "{cause:?}"
    );
    assert!(acked > 50, "{acked}");
    check(&hub.wait(), 1, part);
    heal();
    let (_hub, url) = serve(folder);
    let (entries, missing) = read(&url);
    assert!(
        entries >= acked as u64 && missing == 0,
        "{entries} {acked} {missing}"
    );
}

#[test]
fn a_file_that_may_not_grow_any_more_ends_the_hub_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // Its signal would kill the hub before the write can fail.
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_halloo"), "serve"]);
    command
        .args(["--listen", "tcp://127.0.0.1:0", "--data"])
        .arg(dir.path());
    command.env_remove("RUST_LOG");
    let hub = Running::spawn(&mut command);
    check_failure(hub, dir.path(), "File too large", || {}, || {});
}

#[test]
fn a_full_disk_ends_the_hub_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=128k", "none"])
        .arg(&disk);
    if !mount.output().is_ok_and(|done| done.status.success()) {
        eprintln!("no small disk can be made here: a full one is tried by the journal's own tests");
        return;
    }
    let _mounted = Mounted(disk.clone());
    let folder = disk.to_str().unwrap();
    let hub = Running::start(&["serve", "--listen", "tcp://127.0.0.1:0", "--data", folder]);
    check_failure(
        hub,
        &disk,
        "make room on the disk or keep less",
        || {},
        || {
            let mut grow = Command::new("mount");
            grow.args(["-o", "remount,size=16m"]).arg(&disk);
            assert!(grow.status().unwrap().success());
        },
    );
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_right_that_is_taken_away_ends_the_hub_and_loses_nothing() {
    if !geteuid().is_root() {
        eprintln!("only root can give a folder to somebody else");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("halloo");
    if fs::hard_link(env!("CARGO_BIN_EXE_halloo"), &program).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_halloo"), &program).unwrap();
    }
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(program);
    command.args([
        "serve",
        "--listen",
        "tcp://127.0.0.1:0",
        "--segment-bytes",
        "64K",
        "--data",
    ]);
    command
        .arg(&data)
        .env_remove("RUST_LOG")
        .current_dir(dir.path());
    let hub = Running::spawn(command.uid(NOBODY).gid(NOBODY));
    // The next segment cannot be made.
    let spoil = || chown(&data, Some(0), Some(0)).unwrap();
    check_failure(
        hub,
        &data,
        "give the hub's user the right to it",
        spoil,
        || {},
    );
}
