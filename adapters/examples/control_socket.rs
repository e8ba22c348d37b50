//! A daemon that its own user controls over a Unix socket, by lines of text.
//!
//! ```sh
//! cargo run -p halloo-std --example control_socket -- /tmp/daemon.sock
//! echo status | cargo run -p halloo-std -- connect unix:/tmp/daemon.sock
//! ```
//!
//! It takes `status`, `set NAME NUMBER` for `interval` and `level`, and `stop`, and answers each line
//! with one line. It exits 0 after `stop`, and 1 with a line on stderr if it cannot listen.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use embedded_io::{Read, Write};
use halloo_core::frame::{Decoder, Lines, buffer_bytes};
use halloo_std::socket::{Options, SocketError, UnixListener, UnixStream};

/// The longest command, in bytes.
const LONGEST: usize = 128;

/// How long it waits for a client before it looks whether it was stopped.
const LOOK: Duration = Duration::from_millis(100);

type Settings = Mutex<BTreeMap<&'static str, u32>>;

/// The answer to one command.
fn obey(settings: &Settings, line: &str) -> Result<String, &'static str> {
    let mut settings = settings.lock().unwrap_or_else(PoisonError::into_inner);
    match *line.split_whitespace().collect::<Vec<_>>() {
        ["status"] => {
            let all = settings
                .iter()
                .map(|(name, value)| format!(" {name}={value}"));
            Ok(all.collect())
        }
        ["set", name, value] => {
            let value = value.parse().map_err(|_| "not a number")?;
            *settings.get_mut(name).ok_or("no such setting")? = value;
            Ok(format!(" {name}={value}"))
        }
        ["stop"] => Ok(" bye".into()),
        _ => Err("say status, set NAME NUMBER, or stop"),
    }
}

/// Serves one client until it leaves, or says `stop`, or a line that is too long.
fn serve(
    mut client: UnixStream,
    settings: &Settings,
    stop: &Sender<()>,
) -> Result<(), Box<dyn Error>> {
    let mut lines = Decoder::<_, { buffer_bytes::<Lines>(LONGEST) }>::new(Lines::new(LONGEST));
    loop {
        let Some(line) = lines.poll_frame()? else {
            match Read::read(&mut client, lines.room())? {
                0 => return Ok(()),
                read => lines.commit(read),
            }
            continue;
        };
        let line = String::from_utf8_lossy(lines.bytes(line));
        let answer = match obey(settings, &line) {
            Ok(answer) => format!("ok{answer}\n"),
            Err(error) => format!("error: {error}\n"),
        };
        Write::write_all(&mut client, answer.as_bytes())?;
        if line.trim() == "stop" {
            return Ok(stop.send(())?);
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("tell the PATH of the socket")?;
    let options = Options {
        mode: Some(0o600),
        // A client that is silent for so long, or does not read, is let go.
        read_timeout: Some(Duration::from_secs(60)),
        write_timeout: Some(Duration::from_secs(1)),
        ..Options::default()
    };
    let listener = UnixListener::bind(&path, &options)?;
    println!("listening on {path}");
    let settings = Arc::new(Settings::new(BTreeMap::from([
        ("interval", 1000),
        ("level", 0),
    ])));
    let (stop, stopped) = mpsc::channel();
    // The listener stays here: its file goes with it.
    while stopped.try_recv().is_err() {
        let client = match listener.accept(Some(LOOK)) {
            Ok(client) => client,
            Err(SocketError::TimedOut { .. }) => continue,
            Err(error) => {
                eprintln!("no client can come: {error}");
                thread::sleep(LOOK);
                continue;
            }
        };
        let (settings, stop) = (Arc::clone(&settings), stop.clone());
        thread::spawn(move || {
            if let Err(error) = serve(client, &settings, &stop) {
                eprintln!("a client was let go: {error}");
            }
        });
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("control_socket: {error}");
            ExitCode::FAILURE
        }
    }
}
