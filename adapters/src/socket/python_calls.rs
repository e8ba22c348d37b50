//! The calls that Python's `socket` names, each done here as docs/sockets.md says.

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use rustix::io::Errno;

use super::*;

const LONG: Duration = Duration::from_secs(60);

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
    for host in ["127.0.0.1", "[::1]"] {
        let (listener, client, server) = pair(host);
        assert_eq!(client.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert_eq!(server.peer_addr().unwrap(), client.local_addr().unwrap());
    }
    let found = resolve("127.0.0.1", 80).unwrap();
    assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
}

#[test]
fn a_connect_that_fails_tells_its_errno() {
    // connect_ex
    let (listener, client, server) = pair("127.0.0.1");
    let at = listener.local_addr().unwrap();
    drop((listener, client, server));
    let error = TcpStream::connect(at, &Options::default()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::CONNREFUSED.raw_os_error()));
    let error = UnixStream::connect("/no/such/path", &Options::default()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::NOENT.raw_os_error()));
}

#[test]
fn timeouts_are_told_as_they_were_set() {
    // settimeout, gettimeout
    let (_listener, client, _server) = pair("127.0.0.1");
    assert_eq!(client.read_timeout().unwrap(), None);
    assert_eq!(client.write_timeout().unwrap(), None);
    client.set_read_timeout(Some(LONG)).unwrap();
    client.set_write_timeout(Some(2 * LONG)).unwrap();
    assert_eq!(client.read_timeout().unwrap(), Some(LONG));
    assert_eq!(client.write_timeout().unwrap(), Some(2 * LONG));
    client.set_read_timeout(None).unwrap();
    assert_eq!(client.read_timeout().unwrap(), None);
}

#[test]
fn a_socket_that_does_not_block_says_so_and_can_be_waited_for() {
    // setblocking, select, fileno
    let (_listener, mut client, mut server) = pair("127.0.0.1");
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

#[test]
fn each_way_of_a_connection_is_shut_down_alone() {
    // shutdown, send, sendall, recv, close
    let (_listener, mut client, mut server) = pair("127.0.0.1");
    Write::write_all(&mut client, b"last words").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
    Write::write_all(&mut server, b"heard").unwrap();
    server.shutdown(Shutdown::Both).unwrap();
    text.clear();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "heard");
    let (_listener, mut client, _server) = pair("127.0.0.1");
    client.shutdown(Shutdown::Read).unwrap();
    assert_eq!(Read::read(&mut client, &mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_connection_is_read_and_written_as_files_are() {
    // makefile
    let (_listener, client, server) = pair("127.0.0.1");
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

#[test]
fn options_are_set_and_asked_for() {
    // setsockopt, getsockopt
    let options = Options {
        keepalive: Some(Keepalive::default()),
        ..Options::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap(), &options).unwrap();
    let asked = SockRef::from(&client);
    assert!(asked.tcp_nodelay().unwrap() && asked.keepalive().unwrap());
    assert!(SockRef::from(&listener).reuse_address().unwrap());
    asked.set_tcp_nodelay(false).unwrap();
    assert!(!asked.tcp_nodelay().unwrap());
}

#[test]
fn datagrams_are_sent_to_and_received_from() {
    // sendto, recvfrom
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let [one, other] = [0; 2].map(|_| UdpSocket::bind(host, &Options::default()).unwrap());
        one.send_to(b"hi", other.local_addr().unwrap()).unwrap();
        let mut buf = [0; 16];
        other.set_read_timeout(Some(LONG)).unwrap();
        let (len, from) = other.recv_from(&mut buf).unwrap();
        assert_eq!((&buf[..len], from), (&b"hi"[..], one.local_addr().unwrap()));
    }
}
