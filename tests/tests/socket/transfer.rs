//! What goes in at one end comes out at the other.

use super::*;

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
