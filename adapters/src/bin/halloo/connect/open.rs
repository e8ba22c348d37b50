//! Opens the socket of each kind, and tells its states on the way.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use halloo_std::socket::{
    Address, Options, RfcommAddr, RfcommListener, RfcommStream, SocketError, SocketFile,
    TcpConnect, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixSeqpacket,
    UnixSeqpacketListener, UnixStream,
};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::life::{Life, family};
use crate::failure::Failure;

/// What a Unix socket that connects is called.
const NAMELESS: &str = "no path of its own";

pub(super) fn tcp(
    host: &str,
    port: u16,
    options: &Options,
    life: &mut Life,
) -> Result<TcpStream, SocketError> {
    let is_chosen = options.source.is_some();
    let mut connecting = match TcpConnect::start((host, port), options) {
        Err(error) => {
            // It failed at once, at each of its addresses; without one there was no socket.
            if !matches!(error, SocketError::Unresolved { .. }) {
                life.created(&"a TCP socket");
                life.connecting(&Address::from((host, port)));
            }
            return Err(error);
        }
        Ok(connecting) => connecting,
    };
    life.connecting_tcp(connecting.local_addr()?, connecting.peer_addr(), is_chosen);
    loop {
        let tried = connecting.peer_addr();
        let stream = connecting.poll()?;
        // One that was reset already has no peer any more.
        let (local, peer) = (connecting.local_addr()?, connecting.peer_addr());
        if peer != tried {
            life.connecting_tcp(local, peer, is_chosen);
        }
        if let Some(stream) = stream {
            life.established(&local, &peer);
            return Ok(stream);
        }
        let waited = connecting.wait(Duration::from_secs(1));
        waited.map_err(|e| SocketError::from_io(host, e))?;
    }
}

/// The first connection to this address.
pub(super) fn tcp_accepted(
    host: &str,
    port: u16,
    options: &Options,
    patience: Option<Duration>,
    life: &mut Life,
) -> Result<TcpStream, Failure> {
    let listener = TcpListener::bind((host, port), options)?;
    let at = listener.local_addr()?;
    life.created(&format_args!("a TCP socket, {}", family(at)));
    life.bound(&at);
    life.listening(&at);
    let stream = accepted(listener.accept(patience), &at)?;
    drop(listener);
    match stream.peer_addr() {
        Ok(peer) => life.established(&stream.local_addr()?, &peer),
        // What it said before it was reset can be read still.
        Err(_) => life.established(&at, &"one that is gone already"),
    }
    Ok(stream)
}

pub(super) fn udp(
    host: &str,
    port: u16,
    options: &Options,
    life: &mut Life,
) -> Result<UdpSocket, Failure> {
    let is_chosen = options.source.is_some();
    let socket = UdpSocket::connect((host, port), options).map_err(|error| match error {
        // No right would help: the system wants an option for it, and answers come from elsewhere.
        SocketError::NotPermitted { at, source } if !is_chosen && is_broadcast(&source) => {
            Failure::Start(format!(
                "{at} stands for all hosts of a network: connect speaks to one of them"
            ))
        }
        other => other.into(),
    })?;
    let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
    life.created(&format_args!("a UDP socket, {}", family(peer)));
    life.bound(&local);
    life.connected(&peer);
    Ok(socket)
}

/// Whether connecting without an address of its own failed since the other one is of a broadcast.
fn is_broadcast(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::ACCESS)
}

pub(super) fn unix(
    path: &Path,
    options: &Options,
    life: &mut Life,
) -> Result<UnixStream, SocketError> {
    life.created(&"a Unix stream socket");
    life.connecting(&path.display());
    let stream = UnixStream::connect(path, options)?;
    life.established(&NAMELESS, &path.display());
    Ok(stream)
}

pub(super) fn unix_accepted(
    path: &Path,
    options: &Options,
    patience: Option<Duration>,
    life: &mut Life,
) -> Result<UnixStream, Failure> {
    let listener = UnixListener::bind(path, options)?;
    let doomed = Doomed::on_signal(path)?;
    listening_at(path, &"a Unix stream socket", life);
    let stream = accepted(listener.accept(patience), &path.display())?;
    drop(listener);
    doomed.release();
    life.established(&path.display(), &NAMELESS);
    Ok(stream)
}

pub(super) fn seqpacket(
    path: &Path,
    options: &Options,
    life: &mut Life,
) -> Result<UnixSeqpacket, SocketError> {
    life.created(&"a Unix seqpacket socket");
    life.connecting(&path.display());
    let socket = UnixSeqpacket::connect(path, options)?;
    life.established(&NAMELESS, &path.display());
    Ok(socket)
}

pub(super) fn seqpacket_accepted(
    path: &Path,
    options: &Options,
    patience: Option<Duration>,
    life: &mut Life,
) -> Result<UnixSeqpacket, Failure> {
    let listener = UnixSeqpacketListener::bind(path, options)?;
    let doomed = Doomed::on_signal(path)?;
    listening_at(path, &"a Unix seqpacket socket", life);
    let socket = accepted(listener.accept(patience), &path.display())?;
    drop(listener);
    doomed.release();
    life.established(&path.display(), &NAMELESS);
    Ok(socket)
}

/// Who listens hears of no answer that is missing, but of nobody.
fn accepted<T>(outcome: Result<T, SocketError>, at: &dyn fmt::Display) -> Result<T, Failure> {
    outcome.map_err(|error| match error {
        SocketError::TimedOut { .. } => {
            Failure::TimedOut(format!("nobody connected to {at} in time (--timeout)"))
        }
        other => other.into(),
    })
}

fn listening_at(path: &Path, what: &dyn fmt::Display, life: &mut Life) {
    life.created(what);
    life.bound(&path.display());
    life.listening(&path.display());
}

/// As [`answerable`]; the file goes with a signal that ends the program, too.
pub(super) fn unix_datagram(
    path: &Path,
    options: &Options,
    life: &mut Life,
) -> Result<(UnixDatagram, SocketFile), Failure> {
    let (mut socket, file) = with_own_path(options)?;
    goes_with_a_signal(file.path())?;
    life.created(&"a Unix datagram socket");
    life.bound(&file.path().display());
    socket.connect_to(path)?;
    life.connected(&path.display());
    Ok((socket, file))
}

/// A datagram socket with a path of its own, since one without cannot be answered; the file goes
/// when the second half is dropped.
pub(crate) fn answerable(
    path: &Path,
    options: &Options,
) -> Result<(UnixDatagram, SocketFile), Failure> {
    let (mut socket, file) = with_own_path(options)?;
    socket.connect_to(path)?;
    Ok((socket, file))
}

fn with_own_path(options: &Options) -> Result<(UnixDatagram, SocketFile), Failure> {
    let number = getrandom::u64().map_err(|e| Failure::Start(e.to_string()))?;
    let own = format!("halloo-{}-{number:016x}.sock", process::id());
    Ok(UnixDatagram::bind(env::temp_dir().join(own), options)?)
}

/// Removes a path that nobody else takes when a signal ends the program.
pub(crate) fn goes_with_a_signal(path: &Path) -> Result<(), Failure> {
    Doomed::on_signal(path).map(drop)
}

/// A path that goes with a signal that ends the program.
struct Doomed(Arc<Mutex<Option<PathBuf>>>);

impl Doomed {
    fn on_signal(path: &Path) -> Result<Self, Failure> {
        let failed = |e: io::Error| Failure::Start(format!("signals cannot be waited for: {e}"));
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(failed)?;
        let doomed = Arc::new(Mutex::new(Some(path.to_path_buf())));
        let path = Arc::clone(&doomed);
        let waiter = thread::Builder::new().name("halloo-signals".into());
        let spawned = waiter.spawn(move || {
            for signal in signals.forever() {
                let path = path.lock().unwrap_or_else(PoisonError::into_inner).take();
                // It may be gone, and the end comes either way.
                let _ = path.map(fs::remove_file);
                let _ = emulate_default_handler(signal);
            }
        });
        spawned.map_err(failed)?;
        Ok(Self(doomed))
    }

    /// The path may be another's from now on.
    fn release(self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

pub(super) fn rfcomm(
    to: RfcommAddr,
    options: &Options,
    life: &mut Life,
) -> Result<RfcommStream, SocketError> {
    life.created(&"a Bluetooth RFCOMM socket");
    life.connecting(&to);
    let stream = RfcommStream::connect(to, options)?;
    life.established(&stream.local_addr()?, &to);
    Ok(stream)
}

pub(super) fn rfcomm_accepted(
    at: RfcommAddr,
    options: &Options,
    patience: Option<Duration>,
    life: &mut Life,
) -> Result<RfcommStream, Failure> {
    let listener = RfcommListener::bind(at, options)?;
    life.created(&"a Bluetooth RFCOMM socket");
    life.bound(&listener.local_addr());
    life.listening(&listener.local_addr());
    let stream = accepted(listener.accept(patience), &at)?;
    drop(listener);
    life.established(&stream.local_addr()?, &stream.peer_addr()?);
    Ok(stream)
}
