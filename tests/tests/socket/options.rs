//! Every option is set on the socket that is made.

use super::*;

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
