//! The program as a person runs it: exit codes, output, files, signals.

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::Hub;

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
    command.args(args).stdin(Stdio::null());
    command
}

#[track_caller]
fn run(args: &[&str], code: i32) -> Output {
    let output = program(args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    for bytes in [&output.stdout, &output.stderr] {
        assert!(
            !bytes.contains(&0x1b) && !bytes.contains(&b'\r'),
            "{output:?}"
        );
    }
    output
}

/// One line on standard error and nothing on standard output.
#[track_caller]
fn check_error(args: &[&str], code: i32, says: &str) {
    let output = run(args, code);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(says), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    let first = text.strip_prefix("firmware-sim: ").unwrap().chars().next();
    assert!(first.is_some_and(|c| !c.is_uppercase()), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_good_run_exits_with_0_and_writes_its_numbers_as_json() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("report.json");
    let json = file.to_str().unwrap();
    let args = "--devices 12 --seconds 1.2 --seed 5 --reconnects 0.5 --json";
    let args: Vec<_> = args.split(' ').chain([json]).collect();
    let output = run(&args, 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.ends_with("nothing lost, nothing doubled, all in order\n"));
    // Progress in plain lines.
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(progress.contains(" posts, "), "{progress}");

    let text = std::fs::read_to_string(file).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let number = |path: &str| {
        let found = report.pointer(path).and_then(serde_json::Value::as_f64);
        found.unwrap_or_else(|| panic!("no {path} in {text}"))
    };
    assert_eq!((number("/devices"), number("/seed")), (12.0, 5.0));
    assert!(number("/posts") > 0.0);
    assert_eq!(number("/posts"), number("/acknowledged"));
    assert_eq!(number("/expected"), number("/delivered"));
    for zero in ["lost", "doubled", "out_of_order", "gaps", "rejected"] {
        assert_eq!(number(&format!("/{zero}")), 0.0);
    }
    let times = ["p50", "p99", "p999"].map(|name| number(&format!("/rtt_us/{name}")));
    assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
    let kinds = ["sensors", "actuators", "talkers", "probes"];
    let all: f64 = kinds
        .iter()
        .map(|kind| number(&format!("/devices_by_kind/{kind}")))
        .sum();
    assert_eq!(all, 12.0);
    assert!(number("/hub/cpu_percent") >= 0.0 && number("/hub/memory_per_connection") > 0.0);
    assert!(number("/reconnects") > 0.0 && number("/cuts") > 0.0);
    assert_eq!(report["ok"], true);
}

#[test]
fn somebody_elses_hub_serves_as_well() {
    let hub = Hub::start();
    let [chat, echo] = [0, 1].map(|at| hub.endpoints[at].to_string());
    let args = format!("--devices 12 --seconds 0.5 --hub {chat} --echo {echo}");
    let output = run(&args.split(' ').collect::<Vec<_>>(), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.contains(", UDP ") && !table.contains("hub CPU"),
        "{table}"
    );
    // Again, though the hub remembers the first run.
    let args = format!("--devices 12 --seconds 0.5 --seed 1 --hub {chat}");
    run(&args.split(' ').collect::<Vec<_>>(), 0);
}

#[test]
fn a_hub_that_is_not_there_exits_with_3() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    let hub = format!("chat+tcp://{at}");
    check_error(&["--hub", &hub], 3, "refused the connection");
    check_error(&["--hub", "chat+unix:/no/such/hub.sock"], 3, "is not there");
}

#[test]
fn arguments_that_cannot_be_exit_with_2() {
    check_error(&["--devices", "0"], 2, "at least 1");
    check_error(&["--rate=-1"], 2, "rate is -1");
    check_error(&["--threads", "0"], 2, "threads is 0");
    check_error(&["--seconds=-1"], 2, "seconds is -1");
    check_error(&["--hub", "nonsense"], 2, "a good one is");
    check_error(&["--hub", "echo+tcp://127.0.0.1:1"], 2, "chat");
    check_error(&["--log", "=="], 2, "--log");
    check_error(&["--devices", "100000000"], 2, "open files");
    check_error(
        &["--json", "/no/such/file"],
        2,
        "cannot write /no/such/file",
    );
    check_error(&["--devices", "many"], 2, "'many' for '--devices <N>'");
    check_error(&["--device", "9"], 2, "is --devices meant?");
    check_error(&["--echo", "echo+udp://127.0.0.1:1"], 2, "--hub <URL>");
    let help = run(&["--help"], 0);
    let help = String::from_utf8(help.stdout).unwrap();
    for part in ["Examples:", "Seed:", "Exit codes:"] {
        assert!(help.contains(part), "{help}");
    }
}

#[test]
fn a_signal_ends_the_run_early_and_the_report_is_printed() {
    let mut child = program(&["--devices", "6", "--seconds", "600"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_posting = |line: &std::io::Result<String>| line.as_ref().unwrap().contains(" posts, ");
    assert!(lines.any(|line| is_posting(&line)));
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    let drained = std::thread::spawn(move || lines.count());
    let output = child.wait_with_output().unwrap();
    drained.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(
        table.ends_with("nothing lost, nothing doubled, all in order\n"),
        "{table}"
    );
}
