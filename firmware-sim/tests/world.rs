//! `firmware-sim world` and `firmware-sim soak` as a person runs them.

use std::process::{Command, Output, Stdio};

use firmware_sim::world::Fault;

fn run(args: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
    let command = command.args(args.split(' ')).stdin(Stdio::null());
    command.output().unwrap()
}

#[track_caller]
fn check(args: &str, code: i32) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = run(args);
    let texts = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(status.code(), Some(code), "{texts:?}");
    let [stdout, stderr] = texts;
    (stdout, stderr)
}

#[test]
fn the_same_seed_gives_the_same_bytes_of_report() {
    let args = "world --devices 40 --hours 0.2 --seed 11 --faults field,disk,hub";
    let (first, progress) = check(args, 0);
    assert!(first.starts_with("firmware-sim world --seed 11"), "{first}");
    assert!(first.contains("every rule held"), "{first}");
    assert!(progress.contains("took "), "{progress}");
    assert_eq!(check(args, 0).0, first);
    assert_ne!(check(&args.replace("11", "12"), 0).0, first);
}

#[test]
fn faults_are_read_from_a_file_and_a_name_that_nobody_knows_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("faults");
    std::fs::write(&file, "# what breaks\nreset\nlinks\n").unwrap();
    let args = "world --devices 10 --seconds 60 --seed 1 --store memory --faults";
    let (report, _) = check(&format!("{args} {}", file.display()), 0);
    assert_eq!(report, check(&format!("{args} links"), 0).0);

    let (report, error) = check(&format!("{args} reset,fire"), 2);
    assert!(report.is_empty());
    assert!(error.contains("\"fire\""), "{error}");
    std::fs::write(&file, "reset\nfire\n").unwrap();
    let (_, error) = check(&format!("{args} {}", file.display()), 2);
    assert!(error.contains("\"fire\""), "{error}");
}

#[test]
fn a_seed_that_fails_says_so_and_the_command_that_it_prints_fails_in_the_same_way() {
    let args = "world --seed 4 --devices 20 --seconds 3600 --faults links,devices --planted";
    let (report, _) = check(args, 1);
    assert!(report.contains("seed 4 fails after "), "{report}");
    let replay = report.lines().last().unwrap();
    let command = replay.strip_prefix("replay: firmware-sim ").unwrap();
    let faults = command.split("--faults ").nth(1).unwrap();
    let faults = faults.split(' ').next().unwrap();
    assert!(faults.split(',').any(|fault| fault == "take-over"));
    assert!(faults.split(',').count() < 5, "{command}");
    let (again, _) = check(command, 1);
    let what = |report: &str| report.lines().rev().nth(1).unwrap().to_owned();
    assert!(what(&again).starts_with("PLANTED"), "{again}");
    assert_eq!(what(&again), what(&report));
}

#[test]
fn a_soak_walks_seeds_for_its_time() {
    let (report, progress) = check("soak --for 1s --seed 100", 0);
    assert!(progress.starts_with("seeds from 100 on\n"), "{progress}");
    let count = report.split(' ').next().unwrap().parse::<u64>();
    assert!(count.is_ok_and(|count| count > 0), "{report}");
    let (first, _) = report.split_once('\n').unwrap();
    assert!(first.ends_with("seeds from 100 on: every rule held"));
}

#[test]
fn a_soak_over_a_number_of_seeds_sums_up_what_they_showed() {
    let (report, _) = check("soak --seeds 3 --seed 100", 0);
    assert!(report.starts_with("3 seeds from 100 on: every rule held\n"));
    for fault in Fault::ALL {
        assert!(report.contains(&format!("\nfault {} ", fault.name())));
    }
    let (turns, _) = report.split_once(" turns, ").unwrap();
    let turns = turns.rsplit(' ').next().unwrap().parse::<u64>();
    assert!(turns.is_ok_and(|turns| turns > 0), "{report}");
}

#[test]
fn arguments_that_cannot_be_are_refused() {
    for args in [
        "world --devices 0",
        "world --hours 0",
        "world --hours 1 --seconds 60",
        "world --pace -1",
        "soak --for 10",
        "soak --for m",
        "--devices 3 world",
    ] {
        let (report, error) = check(args, 2);
        assert!(report.is_empty() && !error.is_empty(), "{args}");
    }
}
