//! A `halloo` on a terminal of its own, and what a person sees there.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Child;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::process::{self, LONG, halloo};

const ROWS: u16 = 24;
const COLS: u16 = 80;

/// A pseudo-terminal with a command on it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    /// The command's end, to look at its settings.
    line: File,
    bytes: Receiver<Vec<u8>>,
    screen: vt100::Parser,
    /// The settings before the command ran.
    before: Termios,
}

impl Terminal {
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::open("", args, env)
    }

    /// With keys that were typed before the command ran.
    pub(crate) fn start_typed(keys: &str, args: &[&str]) -> Self {
        Self::open(keys, args, &[])
    }

    fn open(typed: &str, args: &[&str], env: &[(&str, &str)]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keys = openpt(flags).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&keys, size).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let line = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(name.to_str().unwrap())
            .unwrap();
        let before = tcgetattr(&line).unwrap();
        let mut keys = File::from(keys);
        keys.write_all(typed.as_bytes()).unwrap();
        let end = || line.try_clone().unwrap();
        let mut command = halloo(args);
        command.envs(env.iter().copied());
        let child = command.stdin(end()).stdout(end()).stderr(end());
        let child = child.spawn().unwrap();
        let mut output = keys.try_clone().unwrap();
        let (sender, bytes) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keys,
            line,
            bytes,
            screen: vt100::Parser::new(cells(ROWS), cells(COLS), 0),
            before,
        }
    }

    /// All keys at once, as a paste without brackets.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// The rows that have something on them.
    pub(crate) fn rows(&self) -> Vec<String> {
        let rows = self.screen.screen().rows(0, COLS);
        let rows = rows.map(|row| row.trim_end().to_string());
        rows.filter(|row| !row.is_empty()).collect()
    }

    /// Waits until the screen is as wanted.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        let deadline = Instant::now() + LONG;
        while !wanted(&self.rows()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no {what}: {:#?}", self.rows());
                }
            }
        }
    }

    /// Waits until `part` has come; all bytes so far that nobody had looked at.
    #[track_caller]
    pub(crate) fn until_bytes(&mut self, part: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        while !all.windows(part.len()).any(|window| window == part) {
            all.extend(self.bytes.recv_timeout(LONG).expect("it does not come"));
        }
        all
    }

    /// Waits until a row is `text`.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        self.until(text, |rows| rows.iter().any(|row| row == text));
    }

    /// Waits until a row has `part`.
    #[track_caller]
    pub(crate) fn shows_part(&mut self, part: &str) {
        self.until(part, |rows| rows.iter().any(|row| row.contains(part)));
    }

    /// Waits until the last row is `text`.
    #[track_caller]
    pub(crate) fn ends_in(&mut self, text: &str) {
        self.until(text, |rows| rows.last().is_some_and(|row| row == text));
    }

    /// Whether some cell is dim, bold or coloured.
    pub(crate) fn is_styled(&self) -> bool {
        let screen = self.screen.screen();
        let cells = (0..ROWS).flat_map(|row| (0..COLS).map(move |col| (row, col)));
        cells
            .filter_map(|(row, col)| screen.cell(row, col))
            .any(|cell| cell.dim() || cell.bold() || cell.fgcolor() != vt100::Color::Default)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        process::send(&self.child, signal);
    }

    /// Waits until the command has ended; its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        process::wait(&mut self.child).code()
    }

    /// Waits until the command has ended; all bytes that nobody had looked at.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        const END: &[u8] = b"<the end>";
        self.wait();
        self.line.write_all(END).unwrap();
        let mut rest = self.until_bytes(END);
        rest.truncate(rest.len() - END.len());
        rest
    }

    /// The terminal is as it was before the command ran.
    #[track_caller]
    pub(crate) fn is_restored(&self) {
        let now = tcgetattr(&self.line).unwrap();
        assert_eq!(now.local_modes, self.before.local_modes);
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}
