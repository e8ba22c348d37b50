//! A sensor that posts a reading each interval, and loses and doubles none when the hub goes away.
//!
//! ```sh
//! cargo run -p halloo-std -- serve --listen chat+tcp://127.0.0.1:7007 --data /tmp/hub
//! cargo run -p halloo-std -- chat chat+tcp://127.0.0.1:7007 --room readings --name ann
//! cargo run -p halloo-std --example sensor -- chat+tcp://127.0.0.1:7007 thermometer 1000 0
//! ```
//!
//! `NAME` is its name, and who it is to the hub; `COUNT` of 0 is for ever. Stop the hub and start it
//! again; in the room `commands` say `interval=100`. It exits 0 when the hub has acknowledged all
//! readings, and 1 with a line on stderr when there is no hub at first, or one that wants it no more.

use std::collections::VecDeque;
use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use halloo_std::client::{Device, From, Happening, PostError, Settings};

/// The most readings that wait for the hub.
const WAITING: usize = 100_000;

/// The shortest interval.
const LEAST: Duration = Duration::from_millis(1);

/// A reading, for want of a sensor: its number, and degrees that rise and fall.
fn read_sensor(number: u64) -> String {
    format!("{number} {:.1}", 20.0 + 2.0 * (number as f64 / 60.0).sin())
}

/// The time between two readings that a command asks for.
fn asked_for(command: &[u8]) -> Option<Duration> {
    let millis = command.strip_prefix(b"interval=")?;
    let millis: u16 = std::str::from_utf8(millis).ok()?.parse().ok()?;
    Some(Duration::from_millis(millis.into()).max(LEAST))
}

/// A number, as an argument has it.
fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let number = text.parse();
    number.map_err(|_| format!("{text:?} is no number that fits"))
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, name, millis, count] = &*args else {
        return Err("tell URL NAME MILLISECONDS COUNT".into());
    };
    let mut interval = Duration::from_millis(number(millis)?).max(LEAST);
    let count = match number(count)? {
        0 => u64::MAX,
        count => count,
    };
    // The same one comes back when the program starts again.
    let mut device_id = [0; 16];
    for (to, byte) in device_id.iter_mut().zip(name.bytes()) {
        *to = byte;
    }
    let settings = Settings {
        device: Some(device_id),
        longest_wait: Duration::from_secs(5),
        ..Settings::new(name)
    };
    let mut device = Device::connect(url, settings)?;
    device.join("readings", From::Latest)?;
    device.join("commands", From::Latest)?;
    let (mut taken, mut due) = (0, Instant::now());
    let mut waiting = VecDeque::new();
    while taken < count || !waiting.is_empty() || device.unacknowledged() > 0 {
        let now = Instant::now();
        if taken < count && due <= now {
            if waiting.len() == WAITING {
                return Err("the hub is away for too long".into());
            }
            taken += 1;
            waiting.push_back(read_sensor(taken));
            due = now.max(due + interval);
        }
        while let Some(reading) = waiting.pop_front() {
            match device.post("readings", reading.as_bytes()) {
                Ok(_) => {}
                // It goes out when others have their verdict, or the hub is back.
                Err(PostError::OutboxFull | PostError::NotJoined) => {
                    waiting.push_front(reading);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let wait = match taken < count {
            true => due.saturating_duration_since(Instant::now()),
            false => Duration::from_secs(1),
        };
        match device.next(wait)? {
            Some(Happening::Entry { room, body, .. }) if room.as_str() == "commands" => {
                if let Some(asked) = asked_for(&body) {
                    (interval, due) = (asked, Instant::now());
                    println!("obeys interval={}", interval.as_millis());
                }
            }
            Some(Happening::Disconnected { cause, .. }) => eprintln!("{cause}"),
            Some(Happening::Reconnected) => println!("connected again"),
            Some(Happening::Refused { room, code }) => {
                return Err(format!("the room {room} is refused: {code}").into());
            }
            Some(Happening::Rejected { code, .. } | Happening::Unknown { code, .. }) => {
                return Err(format!("a reading was refused: {code}").into());
            }
            _ => {}
        }
    }
    println!("{taken} readings acknowledged");
    Ok(device.bye(Duration::from_secs(5))?)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensor: {error}");
            ExitCode::FAILURE
        }
    }
}
