//! A proxy between a device and its hub that cuts connections anywhere.

use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// Forwards connections, and cuts each after a random number of bytes while it is told to.
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<ProxyState>,
    thread: Option<JoinHandle<()>>,
}

pub(crate) struct ProxyState {
    to: SocketAddr,
    is_cutting: AtomicBool,
    is_over: AtomicBool,
    random: AtomicU64,
    cuts: AtomicUsize,
    open: Mutex<Vec<net::TcpStream>>,
}

impl Proxy {
    pub(crate) fn start(to: SocketAddr, seed: u64) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("chat+tcp://{}", listener.local_addr().unwrap());
        let state = Arc::new(ProxyState {
            to,
            is_cutting: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            random: AtomicU64::new(seed),
            cuts: AtomicUsize::new(0),
            open: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for device in listener.incoming() {
                if shared.is_over.load(Ordering::SeqCst) {
                    break;
                }
                shared.forward(device.unwrap());
            }
        });
        Self {
            url,
            state,
            thread: Some(thread),
        }
    }

    pub(crate) fn heal(&self) {
        self.state.is_cutting.store(false, Ordering::SeqCst);
        // Those that are on their way to a cut still get it.
    }

    pub(crate) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            stream.shutdown(net::Shutdown::Both).ok();
        }
        let address = self.url.trim_start_matches("chat+tcp://");
        net::TcpStream::connect(address).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl ProxyState {
    fn forward(self: &Arc<Self>, device: net::TcpStream) {
        let hub = net::TcpStream::connect(self.to).unwrap();
        let budget = if self.is_cutting.load(Ordering::SeqCst) {
            self.next_random() % 3000
        } else {
            u64::MAX
        };
        let budget = Arc::new(AtomicU64::new(budget));
        let clone = |stream: &net::TcpStream| stream.try_clone().unwrap();
        self.open
            .lock()
            .unwrap()
            .extend([clone(&device), clone(&hub)]);
        for (from, to) in [(clone(&device), clone(&hub)), (hub, device)] {
            let (state, budget) = (Arc::clone(self), Arc::clone(&budget));
            thread::spawn(move || state.copy(from, to, &budget));
        }
    }

    fn copy(&self, mut from: net::TcpStream, mut to: net::TcpStream, budget: &AtomicU64) {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let before = budget
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    Some(left.saturating_sub(n as u64))
                })
                .unwrap();
            let passed = before.min(n as u64) as usize;
            if to.write_all(&bytes[..passed]).is_err() {
                break;
            }
            if passed < n {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        from.shutdown(net::Shutdown::Both).ok();
        to.shutdown(net::Shutdown::Both).ok();
    }

    fn next_random(&self) -> u64 {
        let step = |x: u64| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let old = self
            .random
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |x| Some(step(x)));
        step(old.unwrap()) >> 33
    }
}
