//! Real sockets on the loopback and in temporary directories.

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

macro_rules! is {
    ($variant:ident) => {
        |error| matches!(error, SocketError::$variant { .. })
    };
}

// What comes and goes.

#[test]
fn bytes_go_both_ways_over_tcp_on_ipv4() {
    let (mut near, mut far) = tcp_pair();
    assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
    talk(&mut near, &mut far);
}

#[test]
fn bytes_go_both_ways_over_tcp_on_ipv6() {
    if !has_ipv6() {
        return;
    }
    let listener = TcpListener::bind("[::1]:0", &patient()).unwrap();
    let mut near = TcpStream::connect(listener.local_addr().unwrap(), &patient()).unwrap();
    let mut far = listener.accept(PATIENCE).unwrap();
    assert!(far.peer_addr().unwrap().is_ipv6());
    talk(&mut near, &mut far);
}

#[test]
fn a_dual_stack_listener_takes_both_families() {
    if !has_ipv6() {
        return;
    }
    let listener = TcpListener::bind("[::]:0", &patient()).unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["127.0.0.1", "::1"] {
        let mut near = TcpStream::connect((host, port), &patient()).unwrap();
        let mut far = listener.accept(PATIENCE).unwrap();
        talk(&mut near, &mut far);
    }
}

#[test]
fn a_listener_for_ipv6_only_leaves_ipv4_out() {
    if !has_ipv6() {
        return;
    }
    let options = Options {
        v6only: true,
        ..patient()
    };
    let listener = TcpListener::bind("[::]:0", &options).unwrap();
    let port = listener.local_addr().unwrap().port();
    let over_ipv4 = TcpStream::connect(("127.0.0.1", port), &patient());
    assert_error(over_ipv4, is!(Refused));
    TcpStream::connect(("::1", port), &patient()).unwrap();
}

#[test]
fn a_name_is_connected_to_at_the_address_that_answers() {
    let listener = TcpListener::bind("127.0.0.1:0", &patient()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let found = resolve("localhost", port).unwrap();
    assert!(found.contains(&SocketAddr::from(([127, 0, 0, 1], port))));
    let mut near = TcpStream::connect(("localhost", port), &patient()).unwrap();
    let mut far = listener.accept(PATIENCE).unwrap();
    talk(&mut near, &mut far);
}

#[test]
fn bytes_go_both_ways_over_unix_streams() {
    let (mut near, mut far) = unix_pair();
    talk(&mut near, &mut far);
}

#[test]
fn datagrams_go_both_ways_one_a_read() {
    let mut hosts = vec!["127.0.0.1"];
    if has_ipv6() {
        hosts.push("::1");
    }
    for host in hosts {
        let (mut a, mut b) = udp_pair(host);
        talk(&mut a, &mut b);
        assert_eq!(a.write(b"one").unwrap(), 3);
        assert_eq!(a.write(b"three").unwrap(), 5);
        let mut bytes = [0; 64];
        assert_eq!(b.read(&mut bytes).unwrap(), 3);
        assert_eq!(b.read(&mut bytes).unwrap(), 5);
    }
}

#[test]
fn a_datagram_is_answered_at_the_address_it_came_from() {
    let hub = UdpSocket::bind("127.0.0.1:0", &patient()).unwrap();
    let device = UdpSocket::bind("127.0.0.1:0", &patient()).unwrap();
    device.send_to(b"", hub.local_addr().unwrap()).unwrap();
    device.send_to(b"hi", hub.local_addr().unwrap()).unwrap();
    let mut bytes = [0; 8];
    let from = device.local_addr().unwrap();
    assert_eq!(hub.recv_from(&mut bytes).unwrap(), (0, from));
    assert_eq!(hub.recv_from(&mut bytes).unwrap(), (2, from));
    hub.send_to(b"back", from).unwrap();
    assert_eq!(device.recv_from(&mut bytes).unwrap().0, 4);
}

#[test]
fn unix_datagrams_go_to_a_path_and_are_answered_at_another() {
    let (_dir, path) = socket_path();
    let answers = path.with_extension("answers");
    let (mut hub, file) = UnixDatagram::bind(&path, &patient()).unwrap();
    let (mut device, _answers) = UnixDatagram::bind(&answers, &patient()).unwrap();
    device.connect_to(&path).unwrap();
    hub.connect_to(&answers).unwrap();
    talk(&mut device, &mut hub);
    drop(file);
    assert!(!path.exists());
    assert_error(UnixDatagram::connect(&path, &patient()), is!(NotFound));
}

#[test]
fn an_empty_datagram_is_not_the_end_of_the_stream() {
    let (a, mut b) = udp_pair("127.0.0.1");
    assert_eq!(SockRef::from(&a).send(b"").unwrap(), 0);
    assert!(b.wait(Interest::Read, PATIENCE).unwrap().readable);
    assert!(!b.read_ready().unwrap(), "a read would block behind it");
    assert_eq!(SockRef::from(&a).send(b"").unwrap(), 0);
    assert_eq!(SockRef::from(&a).send(b"x").unwrap(), 1);
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn a_datagram_that_does_not_fit_is_an_error_and_the_next_one_is_whole() {
    let (mut a, mut b) = udp_pair("127.0.0.1");
    a.write_all(b"nine byte").unwrap();
    a.write_all(b"four").unwrap();
    let mut bytes = [0; 4];
    assert_error(b.read(&mut bytes), is!(DatagramTooLong));
    assert_eq!(b.read(&mut bytes).unwrap(), 4);
    assert_eq!(&bytes, b"four");
    assert_error(a.write(&[0; 70_000]), is!(DatagramTooLong));
    b.write_all(b"nine byte").unwrap();
    assert_error(a.recv_from(&mut bytes), is!(DatagramTooLong));
}

#[test]
fn a_clone_is_a_handle_on_the_same_stream() {
    let (near, mut far) = tcp_pair();
    let mut clone = near.try_clone().unwrap();
    drop(near);
    talk(&mut clone, &mut far);
}

#[test]
fn a_socket_is_given_up_to_the_standard_library_and_taken_back() {
    let (near, mut far) = tcp_pair();
    near.set_nonblocking(true).unwrap();
    let mut std_near = near.into_std();
    let error = std::io::Read::read(&mut std_near, &mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    let mut near = TcpStream::from_std(std_near, "the hub");
    talk(&mut near, &mut far);
    near.shutdown(Shutdown::Write).unwrap();
    let error = near.write(b"x").unwrap_err();
    assert!(matches!(error, SocketError::Closed { .. }), "{error:?}");
    assert!(error.to_string().contains("the hub"), "{error}");
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_traits_of_std_work_too_and_say_that_a_call_would_block() {
    let (mut near, mut far) = tcp_pair();
    std::io::Write::write_all(&mut near, b"std").unwrap();
    let mut bytes = [0; 3];
    std::io::Read::read_exact(&mut far, &mut bytes).unwrap();
    assert_eq!(&bytes, b"std");
    far.set_nonblocking(true).unwrap();
    let error = std::io::Read::read(&mut far, &mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}

// Readiness.

#[test]
fn a_stream_is_ready_to_read_when_there_are_bytes() {
    let (mut near, mut far) = tcp_pair();
    assert!(!near.read_ready().unwrap());
    assert!(near.write_ready().unwrap());
    far.write_all(b"x").unwrap();
    await_readable(&near);
    assert!(near.read_ready().unwrap());
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
    assert!(!near.read_ready().unwrap());
}

#[test]
fn a_stream_is_ready_to_read_at_its_end() {
    let (mut near, far) = tcp_pair();
    drop(far);
    await_readable(&near);
    assert!(near.read_ready().unwrap());
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
    assert!(near.read_ready().unwrap(), "the end stays");

    let (mut near, far) = unix_pair();
    far.shutdown(Shutdown::Write).unwrap();
    assert!(near.wait(Interest::Read, PATIENCE).unwrap().readable);
    assert!(near.read_ready().unwrap());
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_stream_is_ready_to_read_after_a_reset_and_then_says_so() {
    let (mut near, far) = tcp_pair();
    let reset = Some(Duration::ZERO);
    SockRef::from(&far).set_linger(reset).unwrap();
    drop(far);
    await_readable(&near);
    assert!(near.read_ready().unwrap() && near.write_ready().unwrap());
    let error = near.read(&mut [0; 8]).unwrap_err();
    assert!(matches!(error, SocketError::Reset { .. }), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_error(near.write(b"x"), is!(Closed));
}

#[test]
fn a_peer_of_datagrams_that_is_not_there_shows_as_ready_and_refused() {
    let (mut a, mut b) = udp_pair("127.0.0.1");
    // It keeps the port from other tests, and hears nobody but itself.
    b.connect_to(b.local_addr().unwrap()).unwrap();
    a.write_all(b"anybody?").unwrap();
    assert!(a.wait(Interest::Read, PATIENCE).unwrap().failed);
    assert!(a.read_ready().unwrap());
    assert_error(a.read(&mut [0; 8]), is!(Refused));
    assert!(!a.read_ready().unwrap(), "it is told once");
}

#[test]
fn a_wait_ends_with_nothing_when_its_time_is_over() {
    let (near, mut far) = tcp_pair();
    let wait = |interest, timeout| near.wait(interest, timeout).unwrap();
    assert!(wait(Interest::Read, BRIEF).is_empty());
    assert!(wait(Interest::Read, Some(Duration::ZERO)).is_empty());
    let both = wait(Interest::Both, None);
    assert!(both.writable && !both.readable);
    far.write_all(b"x").unwrap();
    assert!(wait(Interest::Read, Some(Duration::MAX)).readable);
}

// Waiting, in both modes of the descriptor.

#[test]
fn a_read_waits_on_a_descriptor_that_does_not_block() {
    let (near, mut far) = tcp_pair();
    near.set_nonblocking(true).unwrap();
    let mut reader = near.try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = [0; 4];
        reader.read_exact(&mut bytes).map(|()| bytes)
    });
    // In two pieces, so that the reader has to wait at least where the first one ends.
    far.write_all(b"ha").unwrap();
    while !near
        .wait(Interest::Read, Some(Duration::ZERO))
        .unwrap()
        .is_empty()
    {
        thread::yield_now();
    }
    far.write_all(b"ll").unwrap();
    assert_eq!(&reader.join().unwrap().unwrap(), b"hall");
}

#[test]
fn a_read_times_out_in_both_modes() {
    for nonblocking in [false, true] {
        let (mut near, _far) = tcp_pair();
        near.set_nonblocking(nonblocking).unwrap();
        near.set_read_timeout(BRIEF).unwrap();
        let error = near.read(&mut [0; 1]).unwrap_err();
        assert!(matches!(error, SocketError::TimedOut { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::TimedOut);

        let udp = UdpSocket::bind("127.0.0.1:0", &patient()).unwrap();
        udp.set_nonblocking(nonblocking).unwrap();
        udp.set_read_timeout(Some(Duration::ZERO)).unwrap();
        assert_error(udp.recv_from(&mut [0; 1]), is!(TimedOut));
    }
}

#[test]
fn a_write_takes_what_fits_and_then_times_out_in_both_modes() {
    // More than any buffer here: a write that blocked until all of it was gone would not return.
    let flood = vec![0; 16 << 20];
    for nonblocking in [false, true] {
        let (mut near, _far) = unix_pair();
        near.set_nonblocking(nonblocking).unwrap();
        near.set_write_timeout(None).unwrap();
        let mut writes = 0;
        while near.write_ready().unwrap() {
            let len = near.write(&flood).unwrap();
            assert!(0 < len && len < flood.len());
            writes += 1;
        }
        assert!(writes > 0);
        near.set_write_timeout(BRIEF).unwrap();
        assert_error(near.write_all(&flood), is!(TimedOut));
    }
}

#[test]
fn a_call_with_an_empty_buffer_comes_back_at_once() {
    let (mut near, _far) = tcp_pair();
    assert_eq!(near.read(&mut []).unwrap(), 0);
    assert_eq!(near.write(&[]).unwrap(), 0);
}

#[test]
fn accepting_times_out() {
    let (_dir, path) = socket_path();
    let tcp = TcpListener::bind("127.0.0.1:0", &patient()).unwrap();
    let unix = UnixListener::bind(&path, &patient()).unwrap();
    assert_error(tcp.accept(BRIEF), is!(TimedOut));
    assert_error(unix.accept(BRIEF), is!(TimedOut));
}

// Causes of errors.

#[test]
fn a_port_where_nobody_listens_refuses() {
    // Bound, so that no other test gets the port; not listening.
    let kept = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    kept.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let address = kept.local_addr().unwrap().as_socket().unwrap();
    let error = TcpStream::connect(address, &patient()).unwrap_err();
    assert!(matches!(error, SocketError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn a_name_that_is_none_is_unresolved() {
    // A space never reaches a name server.
    let tcp = TcpStream::connect("no such host:7", &patient());
    assert_error(tcp, is!(Unresolved));
    let listener = TcpListener::bind("no such host:7", &patient());
    assert_error(listener, is!(Unresolved));
    assert_error(UdpSocket::connect("localhost", &patient()), is!(Unresolved));
}

#[test]
fn a_listener_whose_backlog_is_full_lets_a_connection_time_out() {
    let options = Options {
        backlog: 0,
        connect_timeout: Some(Duration::from_millis(200)),
        ..patient()
    };
    let listener = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match TcpStream::connect(address, &options) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 16, "the backlog does not fill");
    };
    assert!(matches!(error, SocketError::TimedOut { .. }), "{error:?}");
}

#[test]
fn every_address_is_tried_in_turn() {
    let full = Options {
        backlog: 0,
        ..patient()
    };
    let silent = TcpListener::bind("127.0.0.1:0", &full).unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    let brief = Options {
        connect_timeout: Some(Duration::from_millis(200)),
        ..patient()
    };
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect(silent.0, &brief) {
        waiting.push(stream);
        assert!(waiting.len() < 16, "the backlog does not fill");
    }

    let refusing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    refusing
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let refusing = (
        refusing.local_addr().unwrap().as_socket().unwrap(),
        refusing,
    );
    let good = TcpListener::bind("127.0.0.1:0", &patient()).unwrap();
    let good = (good.local_addr().unwrap(), good);

    let all = [silent.0, refusing.0, good.0];
    let mut near = TcpStream::connect(&all[..], &brief).unwrap();
    let mut far = good.1.accept(PATIENCE).unwrap();
    talk(&mut near, &mut far);
    // The first error of those that say something.
    assert_error(TcpStream::connect(&all[..2], &brief), is!(TimedOut));
    assert_error(TcpStream::connect(&all[1..2], &brief), is!(Refused));
    assert_error(TcpStream::connect(&all[..0], &brief), is!(Unresolved));
}

#[test]
fn a_unix_listener_whose_backlog_is_full_lets_a_connection_time_out() {
    let (_dir, path) = socket_path();
    let options = Options {
        backlog: 0,
        connect_timeout: BRIEF,
        ..patient()
    };
    let _listener = UnixListener::bind(&path, &options).unwrap();
    let mut waiting = Vec::new();
    let error = loop {
        match UnixStream::connect(&path, &options) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 16, "the backlog does not fill");
    };
    assert!(matches!(error, SocketError::TimedOut { .. }), "{error:?}");
    // It is live, however long it lets others wait.
    assert_error(UnixListener::bind(&path, &options), is!(AddressInUse));
}

#[test]
fn an_address_that_is_taken_is_in_use() {
    let tcp = TcpListener::bind("127.0.0.1:0", &patient()).unwrap();
    let again = TcpListener::bind(tcp.local_addr().unwrap(), &patient());
    assert_error(again, is!(AddressInUse));
    let udp = UdpSocket::bind("127.0.0.1:0", &patient()).unwrap();
    let again = UdpSocket::bind(udp.local_addr().unwrap(), &patient());
    assert_error(again, is!(AddressInUse));
}

#[test]
fn an_address_is_bound_again_while_old_connections_linger() {
    let listener = TcpListener::bind("127.0.0.1:0", &patient()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut near = TcpStream::connect(address, &patient()).unwrap();
    // The end that closes first is the one that lingers.
    drop(listener.accept(PATIENCE).unwrap());
    drop(listener);
    assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
    drop(near);
    let without = Options {
        reuse_address: Some(false),
        ..patient()
    };
    assert_error(TcpListener::bind(address, &without), is!(AddressInUse));
    TcpListener::bind(address, &patient()).unwrap();
}

#[test]
fn two_listeners_share_a_port_when_both_ask_for_it() {
    let options = Options {
        reuse_port: true,
        ..patient()
    };
    let first = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    TcpListener::bind(first.local_addr().unwrap(), &options).unwrap();
}

#[test]
fn an_address_of_no_machine_is_not_available() {
    // 192.0.2.0/24 is for documentation; binding sends nothing.
    let listener = TcpListener::bind("192.0.2.1:0", &patient());
    assert_error(listener, is!(AddressNotAvailable));
}

#[test]
fn what_the_system_forbids_is_not_permitted() {
    // A broadcast address, here the loopback's, needs an option that even root must set.
    let broadcast = UdpSocket::connect("127.255.255.255:9", &patient());
    assert_error(broadcast, is!(NotPermitted));
}

#[test]
fn a_path_that_is_no_socket_is_told_apart_and_left_alone() {
    let (dir, path) = socket_path();
    std::fs::write(&path, "mine").unwrap();
    assert_error(UnixListener::bind(&path, &patient()), is!(NotASocket));
    assert_error(UnixStream::connect(&path, &patient()), is!(NotASocket));
    assert_error(UnixDatagram::bind(&path, &patient()), is!(NotASocket));
    assert_error(UnixListener::bind(dir.path(), &patient()), is!(NotASocket));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    let dangling = dir.path().join("dangling");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    assert_error(UnixListener::bind(&dangling, &patient()), is!(NotASocket));
}

#[test]
fn a_path_that_is_not_there_is_not_found() {
    let (dir, path) = socket_path();
    assert_error(UnixStream::connect(&path, &patient()), is!(NotFound));
    let nowhere = dir.path().join("nowhere/halloo.sock");
    assert_error(UnixListener::bind(nowhere, &patient()), is!(NotFound));
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let (_dir, path) = socket_path();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    assert_error(UnixStream::connect(&path, &patient()), is!(Refused));
    let listener = UnixListener::bind(&path, &patient()).unwrap();
    UnixStream::connect(&path, &patient()).unwrap();
    drop(listener);
    assert!(!path.exists());
    drop(std::os::unix::net::UnixDatagram::bind(&path).unwrap());
    let (_socket, _file) = UnixDatagram::bind(&path, &patient()).unwrap();
}

#[test]
fn a_live_socket_file_is_in_use_and_stays() {
    let (_dir, path) = socket_path();
    let _listener = UnixListener::bind(&path, &patient()).unwrap();
    assert_error(UnixListener::bind(&path, &patient()), is!(AddressInUse));
    assert_error(UnixDatagram::bind(&path, &patient()), is!(AddressInUse));
    UnixStream::connect(&path, &patient()).unwrap();

    let (_dir, path) = socket_path();
    let (_socket, _file) = UnixDatagram::bind(&path, &patient()).unwrap();
    assert_error(UnixListener::bind(&path, &patient()), is!(AddressInUse));
    assert_error(UnixDatagram::bind(&path, &patient()), is!(AddressInUse));
    UnixDatagram::connect(&path, &patient()).unwrap();
}

#[test]
fn a_listener_removes_its_own_file_and_no_other() {
    let (_dir, path) = socket_path();
    let old = UnixListener::bind(&path, &patient()).unwrap();
    std::fs::remove_file(&path).unwrap();
    let new = UnixListener::bind(&path, &patient()).unwrap();
    drop(old);
    assert!(path.exists());
    let (listener, file) = new.into_std();
    drop(listener);
    assert!(path.exists());
    drop(file);
    assert!(!path.exists());
}

#[test]
fn a_socket_file_gets_the_mode_that_was_asked_for() {
    let (_dir, path) = socket_path();
    for mode in [0o600, 0o666] {
        let options = Options {
            mode: Some(mode),
            ..patient()
        };
        let _listener = UnixListener::bind(&path, &options).unwrap();
        let found = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
    }
}

// Options.

#[test]
fn every_option_of_a_stream_is_set_on_both_ends() {
    let asked = Options {
        keepalive: Some(Keepalive {
            idle: Duration::from_secs(77),
            interval: Duration::from_secs(7),
            retries: 5,
        }),
        linger: Some(Duration::from_secs(3)),
        read_timeout: Some(Duration::from_secs(41)),
        write_timeout: Some(Duration::from_secs(42)),
        send_buffer: Some(20_000),
        recv_buffer: Some(30_000),
        ..Options::default()
    };
    let (near, far) = tcp_pair_with(&asked);
    for end in [&near, &far] {
        let socket = SockRef::from(end);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 77);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 7);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert_eq!(socket.linger().unwrap(), asked.linger);
        assert_eq!(socket.read_timeout().unwrap(), asked.read_timeout);
        assert_eq!(socket.write_timeout().unwrap(), asked.write_timeout);
        assert!((20_000..=40_000).contains(&socket.send_buffer_size().unwrap()));
        assert!((30_000..=60_000).contains(&socket.recv_buffer_size().unwrap()));
        assert!(!socket.nonblocking().unwrap());
    }
}

#[test]
fn the_defaults_are_nodelay_and_no_more() {
    let (near, far) = tcp_pair_with(&Options::default());
    for end in [&near, &far] {
        let socket = SockRef::from(end);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(!socket.keepalive().unwrap());
        assert_eq!(socket.read_timeout().unwrap(), None);
        assert_eq!(socket.write_timeout().unwrap(), None);
        assert_eq!(socket.linger().unwrap(), None);
    }
    let off = Options {
        nodelay: false,
        ..Options::default()
    };
    let (near, far) = tcp_pair_with(&off);
    assert!(!SockRef::from(&near).tcp_nodelay().unwrap());
    assert!(!SockRef::from(&far).tcp_nodelay().unwrap());
}

#[test]
fn the_options_of_listeners_and_datagram_sockets_are_set() {
    let asked = Options {
        reuse_port: true,
        v6only: true,
        read_timeout: Some(Duration::from_secs(41)),
        recv_buffer: Some(30_000),
        ..Options::default()
    };
    let tcp = TcpListener::bind("127.0.0.1:0", &asked).unwrap();
    let socket = SockRef::from(&tcp);
    assert!(socket.reuse_address().unwrap() && socket.reuse_port().unwrap());
    assert!((30_000..=60_000).contains(&socket.recv_buffer_size().unwrap()));

    let ipv6 = has_ipv6();
    let host = if ipv6 { "::1" } else { "127.0.0.1" };
    let udp = UdpSocket::bind((host, 0), &asked).unwrap();
    let socket = SockRef::from(&udp);
    assert!(!socket.reuse_address().unwrap() && socket.reuse_port().unwrap());
    assert_eq!(socket.read_timeout().unwrap(), asked.read_timeout);
    assert!((30_000..=60_000).contains(&socket.recv_buffer_size().unwrap()));
    assert!(!ipv6 || socket.only_v6().unwrap());

    let (_dir, path) = socket_path();
    let listener = UnixListener::bind(&path, &asked).unwrap();
    let near = UnixStream::connect(&path, &asked).unwrap();
    let far = listener.accept(PATIENCE).unwrap();
    for end in [near, far] {
        let socket = SockRef::from(&end);
        assert_eq!(socket.read_timeout().unwrap(), asked.read_timeout);
        assert_eq!(socket.write_timeout().unwrap(), None);
    }
}
