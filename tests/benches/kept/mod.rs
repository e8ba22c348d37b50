//! The counts that the repository keeps, and how far a change may be from them.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use super::Error;
use super::cases::Case;

/// A count may be so much above the kept one; below it by more, and the file is out of date.
const TOLERANCE: f64 = 0.05;

const HEAD: &str = "\
# Instructions for each frame, message or post. `.ci/instructions` fails when one takes over 5 % more,
# and `.ci/instructions --update` writes this file.
";

/// What the counts hang on: the first line of the file that is no comment.
fn compiler() -> Result<String, Error> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

pub(crate) fn update(file: &str, counts: &[(Case, f64)]) -> Result<bool, Error> {
    let mut text = format!("{HEAD}{}\n", compiler()?);
    for (case, count) in counts {
        writeln!(text, "{count:>10.1}  {}", case.key())?;
    }
    fs::write(file, text)?;
    println!("{file}: {} counts written", counts.len());
    Ok(true)
}

/// Prints all counts; whether none is above what it may be.
pub(crate) fn check(file: &str, counts: &[(Case, f64)]) -> Result<bool, Error> {
    let text = fs::read_to_string(file)?;
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let (kept_by, compiler) = (lines.next().unwrap_or_default(), compiler()?);
    let mut kept = Vec::new();
    for line in lines {
        let (count, key) = line.trim().split_once("  ").ok_or("a line without count")?;
        kept.push((key, count.parse::<f64>()?));
    }
    let mut is_good = true;
    for (case, count) in counts {
        let key = case.key();
        let Some((_, expected)) = kept.iter().find(|(kept, _)| *kept == key) else {
            println!("{count:>10.1}  {key}: not kept yet; --update keeps it");
            is_good = false;
            continue;
        };
        let change = count / expected - 1.0;
        let verdict = if kept_by != compiler {
            ""
        } else if change > TOLERANCE {
            is_good = false;
            ", WORSE"
        } else if change < -TOLERANCE {
            ", better: --update keeps it"
        } else {
            ""
        };
        println!("{count:>10.1}  {key}: {:+.1} %{verdict}", change * 100.0);
    }
    for (key, _) in &kept {
        if !counts.iter().any(|(case, _)| case.key() == *key) {
            println!("{key}: is kept and no case; --update drops it");
            is_good = false;
        }
    }
    if kept_by != compiler {
        println!("not judged: {file} is of {kept_by}, and this is {compiler}");
    }
    Ok(is_good)
}
