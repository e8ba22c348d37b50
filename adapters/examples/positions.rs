//! A game's positions over UDP: sent 30 times a second, shown a tenth of a second late and smooth.
//!
//! ```sh
//! cargo run -p halloo-std --example positions -- show 127.0.0.1:9100 0
//! cargo run -p halloo-std --example positions -- send 300 127.0.0.1:9100 127.255.255.255:9101
//! ```
//!
//! `send COUNT ADDRESS...` goes round a circle of 10; broadcast addresses are fine. `show ADDRESS FRAMES`
//! prints where everybody is, 30 times a second. 0 is for ever. A datagram has 22 bytes, big-endian:
//! `POSN`, a sequence number (2), the sender's milliseconds (8), x and y (4 each, IEEE 754). It exits 0,
//! or 1 with a line on stderr.

use std::collections::BTreeMap;
use std::error::Error;
use std::f64::consts::TAU;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use halloo_std::socket::{Address, Options, SocketError, UdpSocket};

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// How late it shows, in milliseconds: two lost datagrams in a row are not seen.
const DELAY: f64 = 100.0;

/// How long a movement goes on beyond the newest position that came.
pub(crate) const FURTHER: f64 = 50.0;

/// Who is silent for so long is gone, and may begin again with any number.
const GONE: f64 = 1000.0;

/// How many positions are kept of each sender: more than come in `DELAY`.
const KEPT: usize = 8;

/// The most senders.
const SENDERS: usize = 64;

/// Where somebody was, and when by their own clock, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Position {
    pub(crate) seq: u16,
    pub(crate) time: u64,
    pub(crate) x: f32,
    pub(crate) y: f32,
}

impl Position {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let (seq, time) = (self.seq.to_be_bytes(), self.time.to_be_bytes());
        [
            b"POSN",
            &seq[..],
            &time,
            &self.x.to_be_bytes(),
            &self.y.to_be_bytes(),
        ]
        .concat()
    }

    pub(crate) fn decode(datagram: &[u8]) -> Option<Self> {
        let (fields, []) = datagram.strip_prefix(b"POSN")?.split_first_chunk::<18>()? else {
            return None;
        };
        let position = Self {
            seq: u16::from_be_bytes(fields[..2].try_into().ok()?),
            time: u64::from_be_bytes(fields[2..10].try_into().ok()?),
            x: f32::from_be_bytes(fields[10..14].try_into().ok()?),
            y: f32::from_be_bytes(fields[14..].try_into().ok()?),
        };
        (position.x.is_finite() && position.y.is_finite()).then_some(position)
    }

    /// Whether this came after `other`, though the numbers begin again behind 65,535.
    pub(crate) fn is_newer(&self, other: &Self) -> bool {
        self.seq.wrapping_sub(other.seq) as i16 > 0 && self.time > other.time
    }
}

/// Where somebody is at `time`: between the two of `kept` around it (the newest is the last), or up to
/// `FURTHER` beyond the newest.
pub(crate) fn place(kept: &[Position], time: f64) -> Option<(f64, f64)> {
    let [.., before, newest] = kept else {
        return kept.first().map(|only| (only.x.into(), only.y.into()));
    };
    let time = time.clamp(kept[0].time as f64, newest.time as f64 + FURTHER);
    let around = kept.windows(2).find(|pair| time <= pair[1].time as f64);
    let (from, to) = around.map_or((before, newest), |pair| (&pair[0], &pair[1]));
    let share = (time - from.time as f64) / (to.time - from.time) as f64;
    let between = |a: f32, b: f32| f64::from(a) + share * (f64::from(b) - f64::from(a));
    Some((between(from.x, to.x), between(from.y, to.y)))
}

/// What is known of one sender.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) kept: Vec<Position>,
    /// Our clock less the sender's, with the shortest way that a datagram took.
    offset: f64,
    heard: f64,
}

impl Track {
    pub(crate) fn new() -> Self {
        Self {
            kept: Vec::new(),
            offset: f64::INFINITY,
            heard: 0.0,
        }
    }

    /// Takes what came, unless it is late or came before.
    pub(crate) fn take(&mut self, position: Position, now: f64) {
        if self
            .kept
            .last()
            .is_some_and(|newest| !position.is_newer(newest))
        {
            return;
        }
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push(position);
        // It creeps, since no two clocks run alike.
        self.offset = (self.offset + 0.05).min(now - position.time as f64);
        self.heard = now;
    }
}

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
            match socket.recv_from(&mut datagram) {
                Ok((len, from)) => {
                    let is_known = tracks.contains_key(&from) || tracks.len() < SENDERS;
                    if let Some(position) = Position::decode(&datagram[..len])
                        && is_known
                    {
                        tracks
                            .entry(from)
                            .or_insert_with(Track::new)
                            .take(position, now());
                    }
                }
                Err(SocketError::TimedOut { .. }) => break,
                Err(SocketError::DatagramTooLong { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for (who, track) in &tracks {
            match place(&track.kept, now() - track.offset - DELAY) {
                Some((x, y)) if now() - track.heard < GONE => println!("{who} {x:.2} {y:.2}"),
                _ => println!("{who} gone"),
            }
        }
        tracks.retain(|_, track| now() - track.heard < GONE);
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
    for number in 0.. {
        thread::sleep((FRAME * number).saturating_sub(start.elapsed()));
        let (sin, cos) = (start.elapsed().as_secs_f64() / 10.0 * TAU).sin_cos();
        let position = Position {
            seq: number as u16,
            time: start.elapsed().as_millis() as u64,
            x: 10.0 * cos as f32,
            y: 10.0 * sin as f32,
        };
        for (socket, to) in &ways {
            socket.send_to(&position.encode(), *to)?;
        }
        if number + 1 == count {
            break;
        }
    }
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &*args.iter().map(String::as_str).collect::<Vec<_>>() {
        ["show", address, frames] => show(address, frames.parse()?),
        ["send", count, addresses @ ..] if !addresses.is_empty() => send(count.parse()?, addresses),
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
