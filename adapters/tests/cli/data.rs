//! The hub with a data folder, as a process: what outlives it, and what it refuses.

use std::path::Path;

use rustix::process::Signal;

use crate::process::{Ended, Running};

/// A hub that keeps its posts in `folder`, and its URL.
pub(crate) fn serve(folder: &Path) -> (Running, String) {
    let folder = folder.to_str().unwrap();
    let hub = Running::start(&["serve", "--listen", "tcp://127.0.0.1:0", "--data", folder]);
    let line = hub.out("listening on ");
    (hub, line.trim_start_matches("listening on ").into())
}

/// A hub that does not start, and says why in one line.
#[track_caller]
pub(crate) fn refused(args: &[&str], part: &str) {
    let args = [&["serve", "--listen", "tcp://127.0.0.1:0"], args].concat();
    check(&Running::start(&args).wait(), 2, part);
}

#[track_caller]
pub(crate) fn check(ended: &Ended, code: i32, part: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let listens = ended.out.iter().any(|line| line.contains("listening"));
    assert!(!listens, "{ended:?}");
    let [line] = &*ended.err else {
        panic!("{ended:?}");
    };
    assert!(line.starts_with("error: ") && line.contains(part), "{line}");
}

#[test]
fn what_was_posted_outlives_a_hub_that_stops_and_one_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("not/there/yet");
    let mut lines = Vec::new();
    for (n, signal) in [Signal::TERM, Signal::KILL, Signal::TERM]
        .into_iter()
        .enumerate()
    {
        let (hub, url) = serve(&folder);
        let mut ann = Running::start(&["chat", &url, "-r", "lab", "-n", "ann", "--history", "9"]);
        let line = format!("reading {n}");
        ann.say(&line);
        let ended = ann.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        lines.push(format!("[lab] ann: {line}"));
        assert_eq!(ended.out, lines);
        hub.signal(signal);
        hub.wait();
    }
}

#[test]
fn options_that_contradict_each_other_are_one_line_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let folder = folder.to_str().unwrap();
    refused(&["--durability", "disk"], "name one with --data DIR");
    refused(
        &["--durability", "memory", "--data", folder],
        "leave it out",
    );
    refused(&["--durability", "tape"], "possible values: disk, memory");
    refused(
        &["--keep-posts", "5"],
        "--keep-posts needs a folder: name one with --data DIR",
    );
    refused(
        &["--keep-for", "30", "--data", folder],
        "a good time is 30d",
    );
    refused(
        &["--segment-bytes", "1", "--data", folder],
        "from 64K to 1G",
    );
    assert!(!Path::new(folder).exists());
}

#[test]
fn limits_below_what_the_folder_has_are_refused_before_anything_listens() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, url) = serve(dir.path());
    for room in ["one", "two"] {
        let mut ann = Running::start(&["chat", &url, "-r", room, "-n", "ann"]);
        ann.say("hello");
        assert_eq!(ann.wait().code, Some(0));
    }
    hub.signal(Signal::TERM);
    hub.wait();
    let folder = dir.path().to_str().unwrap();
    refused(
        &["--data", folder, "--max-rooms", "1"],
        "--max-rooms is 1: the data folder has more",
    );
    let (_hub, _) = serve(dir.path());
}

#[test]
fn a_second_hub_on_the_same_folder_is_one_line_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let (hub, _) = serve(dir.path());
    let folder = dir.path().to_str().unwrap();
    refused(&["--data", folder], "in use by another hub");
    hub.signal(Signal::TERM);
    assert_eq!(hub.wait().code, Some(0));
    serve(dir.path());
}
