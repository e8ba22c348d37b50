//! A game's positions over UDP: sent 30 times a second, shown a tenth of a second late and smooth.
//!
//! ```sh
//! cargo run -p halloo-std --example positions -- show 127.0.0.1:9100 0
//! cargo run -p halloo-std --example positions -- send 300 127.0.0.1:9100 127.255.255.255:9101
//! ```
//!
//! `send COUNT ADDRESS...` goes round a circle of 10; broadcast addresses are fine. `show ADDRESS FRAMES`
//! prints where everybody is, 30 times a second. 0 is for ever. It exits 0, or 1 with a line on stderr.
//! What a datagram is, and which place is shown, is in `track.rs`.

mod track;

use std::collections::BTreeMap;
use std::error::Error;
use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use halloo_std::socket::{Address, Options, SocketError, UdpSocket};
use track::{Position, Track};

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// The most senders that are shown.
const SENDERS: usize = 64;

fn show(address: &str, frames: u32) -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(address, &Options::default())?;
    println!("listening on {}", socket.local_addr()?);
    let start = Instant::now();
    let now = || start.elapsed().as_secs_f64() * 1000.0;
    let mut tracks: BTreeMap<SocketAddr, Track> = BTreeMap::new();
    let mut datagram = [0; 64];
    for frame in 1.. {
        // A flood must not hold the frame up.
        for _ in 0..1000 {
            let left = (FRAME * frame).saturating_sub(start.elapsed());
            socket.set_read_timeout(Some(left))?;
            let (len, from) = match socket.recv_from(&mut datagram) {
                Ok(received) => received,
                Err(SocketError::TimedOut { .. }) => break,
                Err(SocketError::DatagramTooLong { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let is_welcome = tracks.len() < SENDERS || tracks.contains_key(&from);
            if let (Some(new), true) = (Position::decode(&datagram[..len]), is_welcome) {
                tracks.entry(from).or_default().take(new, now());
            }
        }
        tracks.retain(|who, track| {
            let shown = track.shown(now());
            match shown {
                Some([x, y]) => println!("{who} {x:.2} {y:.2}"),
                None => println!("{who} gone"),
            }
            shown.is_some()
        });
        if frame == frames {
            break;
        }
    }
    Ok(())
}

fn send(count: u32, addresses: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut ways = Vec::new();
    for address in addresses {
        let to = Address::from(*address).resolve()?[0];
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any, &Options::default())?.into_std();
        socket.set_broadcast(true)?;
        ways.push((UdpSocket::from_std(socket, address), to));
    }
    let start = Instant::now();
    for number in 1.. {
        let turn = start.elapsed().as_secs_f64() / 10.0 * TAU;
        let position = Position {
            seq: (number - 1) as u16,
            millis: start.elapsed().as_millis() as u64,
            at: [turn.cos(), turn.sin()].map(|part| 10.0 * part as f32),
        };
        for (socket, to) in &ways {
            socket.send_to(&position.encode(), *to)?;
        }
        if number == count {
            break;
        }
        thread::sleep((FRAME * number).saturating_sub(start.elapsed()));
    }
    Ok(())
}

/// A number, as an argument has it.
fn number(text: &str) -> Result<u32, String> {
    let number = text.parse();
    number.map_err(|_| format!("{text:?} is no number that fits"))
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &*args.iter().map(String::as_str).collect::<Vec<_>>() {
        ["show", address, frames] => show(address, number(frames)?),
        ["send", count, addresses @ ..] if !addresses.is_empty() => send(number(count)?, addresses),
        _ => Err("say `show ADDRESS FRAMES` or `send COUNT ADDRESS...`".into()),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("positions: {error}");
            ExitCode::FAILURE
        }
    }
}
