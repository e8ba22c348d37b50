//! Real sockets on the loopback and in temporary directories.

macro_rules! is {
    ($variant:ident) => {
        |error| matches!(error, SocketError::$variant { .. })
    };
}

mod errors;
mod options;
mod readiness;
mod transfer;
mod waiting;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use embedded_io::{Error as _, ErrorKind, Read, ReadReady, Write, WriteReady};
use halloo_std::socket::{
    Interest, Keepalive, Options, Shutdown, SocketError, TcpListener, TcpStream, UdpSocket,
    UnixDatagram, UnixListener, UnixStream, resolve,
};
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

/// Long enough for a busy machine; no test waits it out when the code is right.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));
/// Short, for waits that are meant to end without an event.
const BRIEF: Option<Duration> = Some(Duration::from_millis(20));

fn patient() -> Options {
    Options {
        read_timeout: PATIENCE,
        write_timeout: PATIENCE,
        connect_timeout: PATIENCE,
        ..Options::default()
    }
}

fn tcp_pair_with(options: &Options) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0", options).unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap(), options).unwrap();
    (near, listener.accept(PATIENCE).unwrap())
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    tcp_pair_with(&patient())
}

fn unix_pair() -> (UnixStream, UnixStream) {
    let (_dir, path) = socket_path();
    let listener = UnixListener::bind(&path, &patient()).unwrap();
    let near = UnixStream::connect(&path, &patient()).unwrap();
    (near, listener.accept(PATIENCE).unwrap())
}

fn udp_pair(host: &str) -> (UdpSocket, UdpSocket) {
    let mut a = UdpSocket::bind((host, 0), &patient()).unwrap();
    let b = UdpSocket::connect(a.local_addr().unwrap(), &patient()).unwrap();
    a.connect_to(b.local_addr().unwrap()).unwrap();
    (a, b)
}

fn socket_path() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("halloo.sock");
    (dir, path)
}

fn has_ipv6() -> bool {
    let has = std::net::TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("no IPv6 loopback here: skipped");
    }
    has
}

/// Blocks until `socket` has something to read, the end or an error among it.
fn await_readable(socket: &TcpStream) {
    assert!(socket.wait(Interest::Read, PATIENCE).unwrap().readable);
}

#[track_caller]
fn talk(near: &mut (impl Read + Write), far: &mut (impl Read + Write)) {
    let mut bytes = [0; 5];
    near.write_all(b"there").unwrap();
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"there");
    far.write_all(b"back.").unwrap();
    near.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"back.");
}

#[track_caller]
fn assert_error<T>(result: Result<T, SocketError>, wanted: fn(&SocketError) -> bool) {
    let error = result.err().expect("an error");
    assert!(wanted(&error), "{error:?}");
}
