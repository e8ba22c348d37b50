//! A proxy between devices and a hub that loses, doubles and reorders datagrams.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long it looks for an answer before it looks for more questions.
const GLANCE: Duration = Duration::from_millis(1);

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) lost: AtomicU64,
    pub(crate) doubled: AtomicU64,
    pub(crate) swapped: AtomicU64,
    /// Each device gets a new port towards the hub once this is set.
    pub(crate) moves: AtomicBool,
    is_over: AtomicBool,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    pub(crate) counts: Arc<Counts>,
    thread: Option<JoinHandle<()>>,
}

/// Where one device's datagrams go, and one that waits to be overtaken.
struct Way {
    socket: UdpSocket,
    held: [Option<Vec<u8>>; 2],
}

impl Proxy {
    /// Loses `loss` in a thousand, and doubles and reorders as many.
    pub(crate) fn start(to: SocketAddr, seed: u64, loss: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let url = format!("chat+udp://{}", socket.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let thread = thread::spawn(move || forward(&socket, to, seed, loss, &shared));
        Self {
            url,
            counts,
            thread: Some(thread),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.counts.is_over.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn way(to: SocketAddr) -> Way {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_nonblocking(true).unwrap();
    Way {
        socket,
        held: [None, None],
    }
}

fn forward(front: &UdpSocket, to: SocketAddr, mut seed: u64, loss: u64, counts: &Counts) {
    let mut ways: HashMap<SocketAddr, Way> = HashMap::new();
    let mut room = [0; 2048];
    front.set_read_timeout(Some(GLANCE)).unwrap();
    let mut chance = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % 1000 < loss
    };
    // What becomes of a datagram: what is passed on now.
    let mut fate = |held: &mut Option<Vec<u8>>, datagram: &[u8]| {
        let mut out = Vec::new();
        if chance() {
            counts.lost.fetch_add(1, Ordering::SeqCst);
        } else if held.is_none() && chance() {
            *held = Some(datagram.to_vec());
            return out;
        } else {
            out.push(datagram.to_vec());
            if chance() {
                counts.doubled.fetch_add(1, Ordering::SeqCst);
                out.push(datagram.to_vec());
            }
        }
        if let Some(overtaken) = held.take() {
            counts.swapped.fetch_add(1, Ordering::SeqCst);
            out.push(overtaken);
        }
        out
    };
    while !counts.is_over.load(Ordering::SeqCst) {
        match front.recv_from(&mut room) {
            Ok((len, from)) => {
                if counts.moves.swap(false, Ordering::SeqCst) {
                    ways.clear();
                }
                let way = ways.entry(from).or_insert_with(|| way(to));
                for datagram in fate(&mut way.held[0], &room[..len]) {
                    way.socket.send(&datagram).ok();
                }
            }
            Err(e) => assert!(matches!(
                e.kind(),
                ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::ConnectionRefused
            )),
        }
        for (device, way) in &mut ways {
            while let Ok(len) = way.socket.recv(&mut room) {
                for datagram in fate(&mut way.held[1], &room[..len]) {
                    front.send_to(&datagram, device).ok();
                }
            }
        }
    }
}
