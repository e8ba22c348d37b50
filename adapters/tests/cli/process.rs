//! A `halloo` that runs, with its lines as they come.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than anything here takes: a test that waits so long fails.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The command, with nothing of this machine's settings.
pub(crate) fn halloo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halloo"));
    command.args(args).env_clear().env("TERM", "xterm");
    command
}

/// A running command; killed if it is dropped before it ended.
pub(crate) struct Running {
    child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    out: Receiver<String>,
    err: Receiver<String>,
}

/// How a command ended, and what it said that nobody had read.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<String>,
    pub(crate) err: Vec<String>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(&mut halloo(args))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            out: lines(child.stdout.take().unwrap()),
            err: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Ends the input.
    pub(crate) fn end(&mut self) {
        self.stdin = None;
    }

    /// Reads stdout until a line has `part`, and gives that line back.
    #[track_caller]
    pub(crate) fn out(&self, part: &str) -> String {
        find(&self.out, part)
    }

    /// Reads stderr until a line has `part`, and gives that line back.
    #[track_caller]
    pub(crate) fn err(&self, part: &str) -> String {
        find(&self.err, part)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        self.end();
        Ended {
            code: wait(&mut self.child).code(),
            out: self.out.iter().collect(),
            err: self.err.iter().collect(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Runs a command on `input` to its end, and gives back its bytes.
pub(crate) fn fed(args: &[&str], input: &[u8]) -> Output {
    let mut command = halloo(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // All at once, since what comes back could fill its pipe first.
    let feeder = thread::spawn(move || stdin.write_all(&input).ok());
    let readers = [
        all(child.stdout.take().unwrap()),
        all(child.stderr.take().unwrap()),
    ];
    let status = wait(&mut child);
    feeder.join().unwrap();
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    Output {
        status,
        stdout,
        stderr,
    }
}

fn all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// A hub as a process, on free ports.
pub(crate) struct Hub {
    pub(crate) running: Running,
    pub(crate) urls: Vec<String>,
}

impl Hub {
    pub(crate) fn start(listen: &[&str]) -> Self {
        let mut args = vec!["serve", "--max-rooms", "8"];
        for url in listen {
            args.extend(["--listen", url]);
        }
        let running = Running::start(&args);
        let url = |_| {
            let line = running.out("listening on ");
            line.trim_start_matches("listening on ").to_string()
        };
        let urls = listen.iter().map(url).collect();
        Self { running, urls }
    }

    pub(crate) fn tcp() -> Self {
        Self::start(&["chat+tcp://127.0.0.1:0"])
    }

    pub(crate) fn url(&self) -> &str {
        &self.urls[0]
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// As `Child::wait`, and fails in place of a wait for ever.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > LONG {
            child.kill().ok();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, read) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            if lines.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    read
}

#[track_caller]
fn find(lines: &Receiver<String>, part: &str) -> String {
    let mut others = Vec::new();
    loop {
        match lines.recv_timeout(LONG) {
            Ok(line) if line.contains(part) => return line,
            Ok(line) => others.push(line),
            Err(_) => panic!("no line has {part:?}: {others:#?}"),
        }
    }
}
