//! What went wrong is told apart.

use super::*;

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
