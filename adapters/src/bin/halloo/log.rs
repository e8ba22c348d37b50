//! `halloo log`: looks at a data folder, shows what is in it, and mends it.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use halloo_core::wire::binary::decode;
use halloo_core::wire::{DeviceId, Message};
use halloo_std::journal::{self, BadPlace, Folder, JournalError, Record, Report};

use super::failure::Failure;
use super::{EXIT_CODES, output};

/// Check, show or mend the log in a data folder
///
/// No hub may be using the folder meanwhile.
///
/// Examples:
///   halloo log verify /var/lib/halloo
///   halloo log dump /var/lib/halloo | grep ' room=0 '
///   cp -a /var/lib/halloo /root/before && halloo log repair /var/lib/halloo
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read every byte and name each bad place; exit 1 if there is one. Changes nothing
    Verify {
        /// The data folder
        dir: PathBuf,
    },
    /// Print every good record on a line of its own, in the order in which they were kept
    Dump {
        /// The data folder
        dir: PathBuf,
    },
    /// Keep every good record, and give up what is lost: members are told which entries are
    /// missing, and devices that the store has changed. Copy the folder first
    Repair {
        /// The folder was put back from a backup: tell devices that the store has changed even
        /// where nothing is damaged
        #[arg(long)]
        restored: bool,
        /// The data folder
        dir: PathBuf,
    },
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::Verify { dir } => verify(dir),
        Command::Dump { dir } => dump(dir),
        Command::Repair { restored, dir } => repair(dir, *restored),
    }
}

fn verify(dir: &Path) -> Result<(), Failure> {
    let report = journal::verify(&mut take(dir)?).map_err(failed)?;
    list(&report)?;
    if report.bad.is_empty() {
        return output::say(&format!("clean: {}", describe(&report)));
    }
    Err(Failure::Job(format!(
        "{}, {} lost: copy the folder, then give them up with `halloo log repair {}`",
        count(report.bad.len() as u64, "bad place", "bad places"),
        count(report.lost, "entry", "entries"),
        dir.display()
    )))
}

fn repair(dir: &Path, is_restored: bool) -> Result<(), Failure> {
    let mut folder = take(dir)?;
    let store = getrandom::u64();
    let store = store.map_err(|e| Failure::Job(format!("draw a store's number: {e}")))?;
    let mend = if is_restored {
        journal::renew
    } else {
        journal::repair
    };
    let repaired = mend(&mut folder, store).map_err(failed)?;
    list(&repaired.found)?;
    if repaired.found.bad.is_empty() && !is_restored {
        return output::say(&format!("nothing to mend: {}", describe(&repaired.found)));
    }
    let what = match repaired.generation {
        Some(generation) => format!("the store has generation {generation} now"),
        None => "no segment was damaged, and the store is the same".into(),
    };
    output::say(&format!(
        "mended: {}, {} lost; {what}",
        count(repaired.found.bad.len() as u64, "bad place", "bad places"),
        count(repaired.found.lost, "entry", "entries"),
    ))
}

fn dump(dir: &Path) -> Result<(), Failure> {
    let mut folder = take(dir)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut written = Ok(());
    let visit = |file: &str, at, record: &Record<'_>| {
        written = writeln!(out, "{file}:{at} {}", line(record));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    journal::dump(&mut folder, visit).map_err(failed)?;
    let written = written.and_then(|()| out.flush());
    written.map_err(|e| Failure::from_stdio(&e))
}

/// The bad places, each on a line.
fn list(report: &Report) -> Result<(), Failure> {
    for BadPlace { file, at, what } in &report.bad {
        output::say(&format!("{file}:{at}: {what}"))?;
    }
    if let Some(BadPlace { file, at, what }) = &report.torn {
        let why = "no damage: nobody was told of it, and the next start cuts it off";
        output::say(&format!("{file}:{at}: {what} ({why})"))?;
    }
    Ok(())
}

fn describe(report: &Report) -> String {
    format!(
        "{}, {}, {} in {}, {} bytes",
        count(report.segments, "segment", "segments"),
        count(report.records, "record", "records"),
        count(report.entries, "entry", "entries"),
        count(report.rooms, "room", "rooms"),
        report.bytes,
    )
}

fn line(record: &Record<'_>) -> String {
    match *record {
        Record::Room { number, name } => {
            let name = output::harmless(name.as_bytes());
            format!("open room={number} name={name}")
        }
        Record::Entry {
            time,
            device,
            seq,
            room,
            offset,
            frame,
        } => {
            let entry = frame.get(4..).and_then(|message| decode(message).ok());
            let said = match entry.map(|entry| entry.message) {
                Some(Message::Entry(entry)) => {
                    let from = output::harmless(entry.from.as_bytes());
                    format!("from={from} body={}", text(entry.body))
                }
                _ => format!("frame={}", frame.escape_ascii()),
            };
            let device = hex(&device);
            format!(
                "entry room={room} offset={offset} time={time} device={device} seq={seq} {said}"
            )
        }
        Record::Reject {
            time,
            device,
            seq,
            room,
            code,
        } => {
            let device = hex(&device);
            format!("reject room={room} time={time} device={device} seq={seq} code={code}")
        }
        Record::Forget { device, room } => format!("forget room={room} device={}", hex(&device)),
        Record::Lost { room, from, to } => format!("lost room={room} from={from} to={to}"),
    }
}

/// A body as text where it is text.
fn text(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(_) => output::harmless(body),
        Err(_) => body.escape_ascii().to_string(),
    }
}

fn hex(device: &DeviceId) -> String {
    device.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count(number: u64, one: &str, many: &str) -> String {
    output::count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
}

fn take(dir: &Path) -> Result<Folder, Failure> {
    let refused = |why: &dyn std::fmt::Display| Failure::Start(format!("{}: {why}", dir.display()));
    let lists = std::fs::read_dir(dir).map_err(|e| refused(&e))?;
    let names = lists.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let endings = [".journal", ".snapshot"];
    if !names
        .into_iter()
        .any(|name| endings.iter().any(|ending| name.ends_with(ending)))
    {
        return Err(refused(&"no log of a hub lies there"));
    }
    Folder::take_existing(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => refused(&"a hub is using it: stop that one first"),
        _ => refused(&error),
    })
}

fn failed(error: JournalError) -> Failure {
    let text = error.to_string();
    match error {
        JournalError::Newer { .. } => Failure::Start(text),
        JournalError::Disk { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::Start(text)
        }
        _ => Failure::Job(text),
    }
}
