//! How long calls wait, in both modes of the descriptor.

use super::*;

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
