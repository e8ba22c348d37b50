//! When a socket is ready to read.

use super::*;

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
