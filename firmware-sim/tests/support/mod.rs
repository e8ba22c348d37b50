//! A hub to test against, and a proxy that does harm on the way to it.
#![allow(dead_code, reason = "each test program uses a part of what they share")]

pub(crate) mod frames;

use std::io::{Read, Write};
use std::net::{Shutdown as End, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use firmware_sim::Watch;
use halloo_std::hub::{HubConfig, Server, Shutdown};
use halloo_std::url::{Endpoint, Transport};

/// A hub on the loopback.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) endpoints: Vec<Endpoint>,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) fn start() -> Self {
        let urls = ["chat+tcp://127.0.0.1:0", "echo+udp://127.0.0.1:0"];
        let endpoints: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
        let server = Server::bind(&endpoints, HubConfig::default()).unwrap();
        let endpoints = server.endpoints().to_vec();
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let thread = thread::spawn(move || {
            server.run(&stop).unwrap();
        });
        Self {
            endpoints,
            shutdown,
            thread: Some(thread),
        }
    }

    pub(crate) fn chat(&self) -> SocketAddr {
        match &self.endpoints[0].transport {
            Transport::Tcp { host, port } => SocketAddr::new(host.parse().unwrap(), *port),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shutdown.trigger();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

/// What a proxy does to the bytes of one direction of one connection.
pub(crate) trait Harm: Send + 'static {
    /// Changes `bytes`; false ends the connection after them.
    fn pass(&mut self, bytes: &mut Vec<u8>) -> bool;
}

/// No harm.
#[derive(Debug)]
pub(crate) struct Through;

impl Harm for Through {
    fn pass(&mut self, _bytes: &mut Vec<u8>) -> bool {
        true
    }
}

/// How often harm was done to a run; it posts until that was often enough.
#[derive(Debug, Clone)]
pub(crate) struct Fired {
    count: Arc<AtomicUsize>,
    enough: usize,
    watch: Watch,
}

impl Fired {
    pub(crate) fn new(enough: usize, watch: &Watch) -> Self {
        Self {
            count: Arc::default(),
            enough,
            watch: watch.clone(),
        }
    }

    pub(crate) fn add(&self) {
        if self.count.fetch_add(1, Ordering::Relaxed) + 1 == self.enough {
            self.watch.stop();
        }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= self.enough
    }
}

/// Ends the connection after so many bytes, in the middle of a frame as likely as not.
#[derive(Debug)]
pub(crate) struct CutAfter {
    pub(crate) left: usize,
    pub(crate) fired: Fired,
}

impl Harm for CutAfter {
    fn pass(&mut self, bytes: &mut Vec<u8>) -> bool {
        if bytes.len() < self.left {
            self.left -= bytes.len();
            return true;
        }
        bytes.truncate(self.left);
        self.fired.add();
        false
    }
}

/// A proxy in front of a hub.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) at: SocketAddr,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// `harm` is asked for each new connection: first to the hub, then back.
    pub(crate) fn start<F>(hub: SocketAddr, mut harm: F) -> Self
    where
        F: FnMut() -> (Box<dyn Harm>, Box<dyn Harm>) + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut pumps = Vec::new();
            for device in listener.incoming() {
                if is_over.load(Ordering::Acquire) {
                    break;
                }
                let (device, hub) = (device.unwrap(), TcpStream::connect(hub).unwrap());
                device.set_nodelay(true).unwrap();
                hub.set_nodelay(true).unwrap();
                let (there, back) = harm();
                let ends = (device.try_clone().unwrap(), hub.try_clone().unwrap());
                pumps.push(thread::spawn(move || pump(ends.0, ends.1, there)));
                pumps.push(thread::spawn(move || pump(hub, device, back)));
            }
            for pump in pumps {
                pump.join().unwrap();
            }
        });
        Self {
            at,
            over,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> Endpoint {
        format!("chat+tcp://{}", self.at).parse().unwrap()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the listener.
        drop(TcpStream::connect(self.at));
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut harm: Box<dyn Harm>) {
    let mut buf = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        let mut bytes = buf[..n].to_vec();
        let goes_on = harm.pass(&mut bytes);
        if to.write_all(&bytes).is_err() || !goes_on {
            break;
        }
    }
    // Either end may be gone already.
    let _ = from.shutdown(End::Both);
    let _ = to.shutdown(End::Both);
}
