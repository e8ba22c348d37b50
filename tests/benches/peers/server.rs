//! The servers: each a process of its own on the server's core, with a folder and a port of its own.
//!
//! Each is started through this program, which takes the core, asks the kernel to end it with the
//! bench, and becomes the server: so nothing stays behind, whichever way the bench ends.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use tempfile::TempDir;

use crate::machine;

/// The first argument of this program when it is to become a server.
pub(crate) const BECOME: &str = "--become";

/// How long a server has to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs; it ends when dropped.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

/// Where a new server's files go: on the disk that has the build.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("peers-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder in the target folder")
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// The whole path of a program, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

impl Server {
    /// Starts a server that prints where it listens in its first line.
    pub(crate) fn announced<A: AsRef<OsStr>>(folder: TempDir, program: &Path, args: &[A]) -> Self {
        let mut process = spawn(&folder, program, args, Stdio::piped());
        let out = process.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(out).read_line(&mut line);
        let port = line.split_once("127.0.0.1:").map(|(_, port)| {
            let digits = port.split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap_or_default().parse::<u16>()
        });
        let (Ok(_), Some(Ok(port))) = (read, port) else {
            panic!(
                "{} did not start: {line}{}",
                program.display(),
                log(&folder)
            );
        };
        Self {
            process,
            address: ([127, 0, 0, 1], port).into(),
            folder,
        }
    }

    /// Starts a server that listens on `port`, and waits until it does.
    pub(crate) fn on_port<A: AsRef<OsStr>>(
        folder: TempDir,
        program: &Path,
        args: &[A],
        port: u16,
    ) -> Self {
        let process = spawn(&folder, program, args, Stdio::null());
        let address = ([127, 0, 0, 1], port).into();
        let mut server = Self {
            process,
            address,
            folder,
        };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = server.process.try_wait().expect("it is a child");
            assert!(
                ended.is_none() && begun.elapsed() < PATIENCE,
                "{} did not start: {}",
                program.display(),
                log(&server.folder)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the server said: {}", log(&self.folder));
        }
    }
}

/// The end of what the server said.
fn log(folder: &TempDir) -> String {
    let text = fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

fn spawn<A: AsRef<OsStr>>(folder: &TempDir, program: &Path, args: &[A], out: Stdio) -> Child {
    let file = fs::File::create(folder.path().join("stderr")).expect("a file in its folder");
    Command::new(std::env::current_exe().expect("this program"))
        .arg(BECOME)
        .arg(program)
        .args(args)
        // Only the Go server asks.
        .env("GOMAXPROCS", "1")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(file)
        .spawn()
        .expect("this program can be started")
}

/// Becomes the server of the arguments; does not come back.
pub(crate) fn become_server(mut args: impl Iterator<Item = OsString>) -> ! {
    let program = args.next().expect("a program");
    machine::pin(machine::SERVER_CORE);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let error = Command::new(&program).args(args).exec();
    panic!("{}: {error}", Path::new(&program).display());
}
