//! Instructions for each frame, message and post, ours and others', as valgrind's callgrind counts
//! them: they repeat on a machine that is busy, where times do not.
//!
//! `cargo bench -p halloo-tests --bench instructions` prints the table; words behind `--` choose the
//! cases whose group or name has one of them. `.ci/instructions` holds ours against the counts that
//! the repository keeps.
//!
//! A case runs twice under callgrind, a few rounds and some more; the difference is free of what the
//! process does to start.

use std::env;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cases::Case;

mod cases;
mod kept;

/// Rounds until buffers have the size that they keep.
const WARM_UP: u32 = 2;

/// Rounds that are counted.
const COUNTED: u32 = 8;

/// The plain memcpy and memcmp of every x86-64: else glibc's choice hangs on the processor.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX_Fast_Unaligned_Load,-ERMS:\
    glibc.cpu.x86_non_temporal_threshold=0x1000000";

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["--run", key, rounds] => run(key, rounds),
        ["--test", ..] => {
            cases::all().iter().for_each(|case| rounds(case, 1));
            Ok(true)
        }
        ["--check", file] => counts(&ours()).and_then(|counts| kept::check(file, &counts)),
        ["--update", file] => counts(&ours()).and_then(|counts| kept::update(file, &counts)),
        ref words => table(words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn rounds(case: &Case, rounds: u32) {
    (case.run)(&mut |round| (0..rounds).for_each(|_| round()));
}

/// What callgrind runs.
fn run(key: &str, times: &str) -> Result<bool, Error> {
    let case = cases::all().into_iter().find(|case| case.key() == key);
    rounds(&case.ok_or("no such case")?, times.parse()?);
    Ok(true)
}

fn ours() -> Vec<Case> {
    cases::all().into_iter().filter(|case| case.ours).collect()
}

fn table(words: &[&str]) -> Result<bool, Error> {
    let is_wanted =
        |case: &Case| words.is_empty() || words.iter().any(|word| case.key().contains(word));
    let wanted: Vec<Case> = cases::all().into_iter().filter(is_wanted).collect();
    let mut group = "";
    let mut first = 1.0;
    println!("{:>12} {:>7}", "instructions", "ratio");
    for (case, count) in counts(&wanted)? {
        if case.group != group {
            (group, first) = (case.group, count);
            println!("{group}");
        }
        println!("{count:>12.1} {:>7.2}  {}", count / first, case.name);
    }
    Ok(true)
}

/// Instructions for each unit of the cases, which take turns on all cores.
fn counts(cases: &[Case]) -> Result<Vec<(Case, f64)>, Error> {
    let next = AtomicUsize::new(0);
    let counted = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let count = count(case);
                    counted.lock().unwrap().push((case.key(), count));
                }
            });
        }
    });
    let mut counted = counted.into_inner()?;
    let mut take = |case: &Case| {
        let at = counted.iter().position(|(key, _)| *key == case.key());
        counted.swap_remove(at.expect("every case was counted")).1
    };
    cases.iter().map(|case| Ok((*case, take(case)?))).collect()
}

fn count(case: &Case) -> Result<f64, Error> {
    let few = callgrind(case, WARM_UP)?;
    let more = callgrind(case, WARM_UP + COUNTED)?;
    let units = f64::from(COUNTED) * f64::from(case.units);
    Ok(more.checked_sub(few).ok_or("fewer with more rounds")? as f64 / units)
}

/// Instructions of a whole process, with nothing from outside that it could depend on.
fn callgrind(case: &Case, rounds: u32) -> Result<u64, Error> {
    let output = Command::new("valgrind")
        .env_clear()
        .envs(env::var_os("PATH").map(|path| ("PATH", path)))
        .env("GLIBC_TUNABLES", TUNABLES)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["--run", &case.key(), &rounds.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start ({error}): is it installed?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{} under valgrind: {said}", case.key()).into()),
    }
}
