//! The calls that Python's `socket` names, each done here as docs/sockets.md says.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// A time that is over soon.
const SOON: Duration = Duration::from_millis(20);

const HOSTS: [&str; 2] = ["127.0.0.1", "[::1]"];

fn pair(host: &str) -> (TcpListener, TcpStream, TcpStream) {
    let options = Options::default();
    let listener = TcpListener::bind(&*format!("{host}:0"), &options).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap(), &options).unwrap();
    let server = listener.accept(Some(LONG)).unwrap();
    (listener, client, server)
}

#[test]
fn both_ends_of_a_connection_know_each_others_names() {
    // bind, listen, accept, connect, getsockname, getpeername, getaddrinfo
    for host in HOSTS {
        let (listener, client, server) = pair(host);
        assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    }
    for (host, expected) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
        assert_eq!(resolve(host, 80).unwrap(), [expected.parse().unwrap()]);
    }
    assert!(
        resolve("localhost", 80)
            .unwrap()
            .iter()
            .all(|at| at.ip().is_loopback())
    );
}

#[test]
fn a_connect_that_fails_tells_its_errno() {
    // connect_ex
    for host in HOSTS {
        let (listener, client, server) = pair(host);
        let at = listener.local_addr().unwrap();
        drop((listener, client, server));
        let error = TcpStream::connect(at, &Options::default()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::CONNREFUSED.raw_os_error()));
    }
    let error = UnixStream::connect("/no/such/path", &Options::default()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::NOENT.raw_os_error()));
}

#[test]
fn timeouts_are_told_as_they_were_set() {
    // settimeout, gettimeout
    for host in HOSTS {
        let (_listener, client, _server) = pair(host);
        assert_eq!(client.read_timeout().unwrap(), None);
        assert_eq!(client.write_timeout().unwrap(), None);
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(2 * LONG)).unwrap();
        assert_eq!(client.read_timeout().unwrap(), Some(LONG));
        assert_eq!(client.write_timeout().unwrap(), Some(2 * LONG));
        client.set_read_timeout(None).unwrap();
        assert_eq!(client.read_timeout().unwrap(), None);
    }
}

#[test]
fn each_wait_ends_with_its_time_out() {
    // settimeout, for accept, recv, recvfrom and send
    for host in HOSTS {
        let (listener, client, _server) = pair(host);
        timed_out(listener.accept(Some(SOON)));
        client.set_read_timeout(Some(SOON)).unwrap();
        timed_out(client.recv(&mut [0; 1]));
        client.set_write_timeout(Some(SOON)).unwrap();
        timed_out(loop {
            if let Err(error) = client.send(&[0; 1 << 16]) {
                break Err::<usize, _>(error);
            }
        });
        let udp = UdpSocket::bind(&*format!("{host}:0"), &Options::default()).unwrap();
        udp.set_read_timeout(Some(SOON)).unwrap();
        timed_out(udp.recv_from(&mut [0; 1]));
    }
}

#[test]
fn a_deadline_ends_a_peer_that_trickles_as_it_ends_a_silent_one() {
    for host in HOSTS {
        let (_listener, mut client, server) = pair(host);
        let start = Instant::now();
        client.set_deadline(start.checked_add(SOON));
        timed_out(loop {
            server.send(b"x").unwrap();
            if let Err(error) = client.recv(&mut [0; 1]) {
                break Err::<usize, _>(error);
            }
            assert!(start.elapsed() < LONG, "it goes on for ever");
        });
        timed_out(client.send(b"x"));
        client.set_deadline(None);
        assert_eq!(client.recv(&mut [0; 1]).unwrap(), 1);
    }
}

#[track_caller]
fn timed_out<T: std::fmt::Debug>(outcome: Result<T, SocketError>) {
    assert!(
        matches!(outcome, Err(SocketError::TimedOut { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_socket_that_does_not_block_says_so_and_can_be_waited_for() {
    // setblocking, select, poll, fileno
    for host in HOSTS {
        let (_listener, mut client, mut server) = pair(host);
        client.set_nonblocking(true).unwrap();
        let mut byte = [0; 1];
        let error = Read::read(&mut client, &mut byte).unwrap_err();
        assert_eq!(error.kind(), std_io::ErrorKind::WouldBlock);
        let nothing = client.wait(Interest::Read, Some(Duration::ZERO)).unwrap();
        assert!(nothing.is_empty());
        Write::write_all(&mut server, b"x").unwrap();
        assert!(client.wait(Interest::Read, Some(LONG)).unwrap().readable);
        assert_eq!(Read::read(&mut client, &mut byte).unwrap(), 1);
        assert_ne!(client.as_fd().as_raw_fd(), server.as_fd().as_raw_fd());
    }
}

#[test]
fn each_way_of_a_connection_is_shut_down_alone() {
    // shutdown, send, sendall, recv, close
    for host in HOSTS {
        let (_listener, mut client, mut server) = pair(host);
        Write::write_all(&mut client, b"last words").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(matches!(client.send(b"x"), Err(SocketError::Closed { .. })));
        let mut text = String::new();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
        Write::write_all(&mut server, b"heard").unwrap();
        server.shutdown(Shutdown::Both).unwrap();
        text.clear();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "heard");
        let (_listener, client, server) = pair(host);
        client.shutdown(Shutdown::Read).unwrap();
        assert_eq!(client.recv(&mut [0; 1]).unwrap(), 0);
        drop(client);
        assert_eq!(server.recv(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn a_connection_is_read_and_written_as_files_are() {
    // makefile
    for host in HOSTS {
        let (_listener, client, server) = pair(host);
        let mut writer = BufWriter::new(client.try_clone().unwrap());
        let lines = BufReader::new(server);
        writeln!(writer, "one").unwrap();
        writeln!(writer, "two").unwrap();
        writer.flush().unwrap();
        drop(writer);
        drop(client);
        let lines: Vec<String> = lines.lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["one", "two"]);
    }
}

#[test]
fn options_are_set_and_asked_for() {
    // setsockopt, getsockopt
    let options = Options {
        keepalive: Some(Keepalive::default()),
        reuse_port: true,
        linger: Some(2 * LONG),
        read_timeout: Some(LONG),
        write_timeout: Some(2 * LONG),
        send_buffer: Some(1 << 15),
        recv_buffer: Some(1 << 14),
        v6only: true,
        ..Options::default()
    };
    for host in HOSTS {
        let listener = TcpListener::bind(&*format!("{host}:0"), &options).unwrap();
        let listening = SockRef::from(&listener);
        assert!(listening.reuse_address().unwrap() && listening.reuse_port().unwrap());
        let is_v6 = listener.local_addr().unwrap().is_ipv6();
        assert!(!is_v6 || listening.only_v6().unwrap());
        let client = TcpStream::connect(listener.local_addr().unwrap(), &options).unwrap();
        let server = listener.accept(Some(LONG)).unwrap();
        for end in [&client, &server] {
            let asked = SockRef::from(end);
            assert!(asked.tcp_nodelay().unwrap() && asked.keepalive().unwrap());
            let times = Keepalive::default();
            assert_eq!(asked.tcp_keepalive_time().unwrap(), times.idle);
            assert_eq!(asked.tcp_keepalive_interval().unwrap(), times.interval);
            assert_eq!(asked.tcp_keepalive_retries().unwrap(), times.retries);
            assert_eq!(asked.linger().unwrap(), Some(2 * LONG));
            assert_eq!(end.read_timeout().unwrap(), Some(LONG));
            assert_eq!(end.write_timeout().unwrap(), Some(2 * LONG));
            // Linux doubles them.
            assert_eq!(asked.send_buffer_size().unwrap(), 1 << 16);
            assert_eq!(asked.recv_buffer_size().unwrap(), 1 << 15);
            asked.set_tcp_nodelay(false).unwrap();
            assert!(!asked.tcp_nodelay().unwrap());
            // So that closing does not wait.
            asked.set_linger(None).unwrap();
        }
    }
}

#[test]
fn no_more_connections_wait_than_the_backlog_says() {
    // listen
    let options = Options {
        backlog: 3,
        connect_timeout: Some(SOON),
        ..Options::default()
    };
    for host in HOSTS {
        let listener = TcpListener::bind(&*format!("{host}:0"), &options).unwrap();
        let mut kept = Vec::new();
        timed_out(loop {
            match TcpStream::connect(listener.local_addr().unwrap(), &options) {
                Ok(stream) => kept.push(stream),
                Err(error) => break Err::<TcpStream, _>(error),
            }
        });
        // Linux takes one more than it is told.
        assert_eq!(kept.len(), 4);
    }
}

#[test]
fn datagrams_are_sent_to_and_received_from() {
    // sendto, recvfrom
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let [one, other] = [0; 2].map(|_| UdpSocket::bind(host, &Options::default()).unwrap());
        other.set_read_timeout(Some(LONG)).unwrap();
        let mut buf = [0; 16];
        for datagram in [&b"hi"[..], b"", b"again"] {
            one.send_to(datagram, other.local_addr().unwrap()).unwrap();
            let (len, from) = other.recv_from(&mut buf).unwrap();
            assert_eq!((&buf[..len], from), (datagram, one.local_addr().unwrap()));
        }
    }
}

#[test]
fn unix_datagrams_are_sent_to_and_received_from_paths() {
    let dir = tempfile::tempdir().unwrap();
    let [(one, one_file), (other, other_file)] = ["one", "other"]
        .map(|name| UnixDatagram::bind(dir.path().join(name), &Options::default()).unwrap());
    other.set_read_timeout(Some(LONG)).unwrap();
    let mut buf = [0; 16];
    for datagram in [&b"hi"[..], b"", b"again"] {
        one.send_to(datagram, other_file.path()).unwrap();
        let (len, from) = other.recv_from(&mut buf).unwrap();
        assert_eq!(
            (&buf[..len], from.as_deref()),
            (datagram, Some(one_file.path()))
        );
    }
    let nameless = UnixDatagram::connect(other_file.path(), &Options::default()).unwrap();
    nameless.send(b"hi").unwrap();
    assert_eq!(other.recv_from(&mut buf).unwrap(), (2, None));
    let error = one.send_to(b"hi", dir.path().join("gone")).unwrap_err();
    assert!(matches!(error, SocketError::NotFound { .. }), "{error:?}");
    other.set_read_timeout(Some(SOON)).unwrap();
    timed_out(other.recv_from(&mut buf));
}

#[test]
fn seqpacket_connections_carry_messages_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let (_listener, client, server) = seqpackets(&dir.path().join("socket"));
    for message in [&b"one"[..], &[b'x'; 5000], b"two"] {
        client.send(message).unwrap();
    }
    let pieces = [&b"Echo: "[..], b"three"].map(std_io::IoSlice::new);
    let mut writer = client.try_clone().unwrap();
    assert_eq!(writer.write_vectored(&pieces).unwrap(), 11);
    client.shutdown(Shutdown::Write).unwrap();
    let mut buf = [0; 8192];
    for expected in [&b"one"[..], &[b'x'; 5000], b"two", b"Echo: three", b""] {
        let len = server.recv(&mut buf).unwrap();
        assert_eq!(&buf[..len], expected);
    }
    server.send(b"heard").unwrap();
    assert_eq!(client.recv(&mut buf).unwrap(), 5);
}

fn seqpackets(path: &Path) -> (UnixSeqpacketListener, UnixSeqpacket, UnixSeqpacket) {
    let options = Options::default();
    let listener = UnixSeqpacketListener::bind(path, &options).unwrap();
    let client = UnixSeqpacket::connect(path, &options).unwrap();
    let server = listener.accept(Some(LONG)).unwrap();
    (listener, client, server)
}

/// Sends eight bytes and then one, for every way to read to meet the eight with room for four.
#[track_caller]
fn too_long<S: Carrier>(send: impl Fn(&[u8]), mut reader: Socket<S>) {
    for call in 0..3 {
        let mut read = || match call {
            0 => reader.recv(&mut [0; 4]),
            1 => embedded_io::Read::read(&mut reader, &mut [0; 4]),
            _ => Read::read(&mut reader, &mut [0; 4]).map_err(|e| SocketError::from_io("", e)),
        };
        send(b"too long");
        send(b"x");
        let error = read().unwrap_err();
        assert!(
            matches!(error, SocketError::DatagramTooLong { .. }),
            "{error:?}"
        );
        // It is gone, and the next one is whole.
        assert_eq!(read().unwrap(), 1);
    }
}

#[test]
fn a_message_larger_than_the_buffer_is_an_error_for_every_kind_and_call() {
    let options = Options::default();
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let server = UdpSocket::bind(host, &options).unwrap();
        let at = server.local_addr().unwrap();
        let client = UdpSocket::connect(at, &options).unwrap();
        client.send(b"too long").unwrap();
        let error = server.recv_from(&mut [0; 4]).unwrap_err();
        assert!(
            matches!(error, SocketError::DatagramTooLong { .. }),
            "{error:?}"
        );
        too_long(
            |message| assert_eq!(client.send(message).unwrap(), message.len()),
            server,
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("datagram");
    let (server, _file) = UnixDatagram::bind(&path, &options).unwrap();
    let client = UnixDatagram::connect(&path, &options).unwrap();
    client.send(b"too long").unwrap();
    let error = server.recv_from(&mut [0; 4]).unwrap_err();
    assert!(
        matches!(error, SocketError::DatagramTooLong { .. }),
        "{error:?}"
    );
    too_long(
        |message| assert_eq!(client.send(message).unwrap(), message.len()),
        server,
    );
    let (_listener, client, server) = seqpackets(&dir.path().join("seqpacket"));
    too_long(
        |message| assert_eq!(client.send(message).unwrap(), message.len()),
        server,
    );
}

/// What failed, as the name of its variant.
#[track_caller]
fn cause<T: std::fmt::Debug>(outcome: Result<T, SocketError>) -> String {
    let debug = format!("{:?}", outcome.unwrap_err());
    debug.split(' ').next().unwrap().into()
}

#[test]
fn each_cause_of_a_failure_has_its_own_type() {
    let options = Options::default();
    for (host, nowhere) in [("127.0.0.1", "255.255.255.255:7"), ("[::1]", "[ff02::1]:7")] {
        let (listener, client, server) = pair(host);
        let at = listener.local_addr().unwrap();
        SockRef::from(&server)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(server);
        assert_eq!(cause(client.recv(&mut [0; 1])), "Reset");
        drop((listener, client));
        assert_eq!(cause(TcpStream::connect(at, &options)), "Refused");
        let udp = UdpSocket::connect(at, &options).unwrap();
        udp.set_read_timeout(Some(LONG)).unwrap();
        udp.send(b"x").unwrap();
        assert_eq!(cause(udp.recv(&mut [0; 1])), "Refused");
        // Nothing is sent for it: TCP has no way to many hosts at once.
        assert_eq!(cause(TcpStream::connect(nowhere, &options)), "Unreachable");
        let taken = TcpListener::bind(&*format!("{host}:0"), &options).unwrap();
        let at = taken.local_addr().unwrap();
        assert_eq!(cause(TcpListener::bind(at, &options)), "AddressInUse");
    }
    // No resolver is asked for a label of more than 63 characters.
    let unknown = format!("{}.invalid:7", "a".repeat(64));
    assert_eq!(cause(TcpStream::connect(&*unknown, &options)), "Unresolved");
    assert_eq!(cause(UdpSocket::connect(&*unknown, &options)), "Unresolved");
    for absent in ["192.0.2.1:0", "[2001:db8::1]:0"] {
        assert_eq!(
            cause(UdpSocket::bind(absent, &options)),
            "AddressNotAvailable"
        );
    }
}

#[test]
fn a_connection_starts_from_the_address_that_was_chosen() {
    for host in HOSTS {
        let (listener, _client, _server) = pair(host);
        let free = UdpSocket::bind(&*format!("{host}:0"), &Options::default()).unwrap();
        let source = free.local_addr().unwrap();
        drop(free);
        let options = Options {
            source: Some(source),
            ..Options::default()
        };
        let at = listener.local_addr().unwrap();
        let udp = UdpSocket::connect(at, &options).unwrap();
        assert_eq!(udp.local_addr().unwrap(), source);
        let tcp = TcpStream::connect(at, &options).unwrap();
        assert_eq!(tcp.local_addr().unwrap(), source);
        let other = HOSTS.into_iter().find(|other| *other != host).unwrap();
        let (elsewhere, _client, _server) = pair(other);
        let at = elsewhere.local_addr().unwrap();
        assert_eq!(
            cause(TcpStream::connect(at, &options)),
            "AddressNotAvailable"
        );
        assert_eq!(
            cause(UdpSocket::connect(at, &options)),
            "AddressNotAvailable"
        );
    }
}
