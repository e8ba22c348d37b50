//! A serial cable in a thread, which damages bytes: between two pseudo-terminals, or over TCP.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use halloo_std::testkit::{Noise, NoiseCounts, NoiseRates};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// How often a cable looks whether it is to go on, and a terminal that nobody has opened.
const LOOK: Duration = Duration::from_millis(5);

/// A cable that is there until it is dropped.
#[derive(Debug)]
pub struct Cable {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    is_over: AtomicBool,
    /// To the first end, and to the second.
    noises: Mutex<[Noise; 2]>,
}

/// The far side of a serial device: what a program that opens the device at `path` talks with.
#[derive(Debug)]
pub struct Terminal {
    /// This side.
    pub master: File,
    /// Where the device is.
    pub path: PathBuf,
}

impl Terminal {
    /// A new one.
    ///
    /// # Panics
    /// If the system has none.
    #[must_use]
    pub fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        rustix::io::ioctl_fionbio(&master, true).unwrap();
        Self {
            master: master.into(),
            path: PathBuf::from(name.into_string().unwrap()),
        }
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Cable {
    /// A cable between two ends that do not block.
    #[must_use]
    pub fn between(one: OwnedFd, two: OwnedFd, seed: u64, rates: NoiseRates) -> Self {
        Self::start(seed, rates, move |shared| {
            shared.carry(&mut one.into(), &mut two.into());
        })
    }

    /// Two devices that are joined by a cable.
    #[must_use]
    pub fn null_modem(seed: u64, rates: NoiseRates) -> (Self, PathBuf, PathBuf) {
        let (one, two) = (Terminal::new(), Terminal::new());
        let cable = Self::between(one.master.into(), two.master.into(), seed, rates);
        (cable, one.path, two.path)
    }

    /// Listens at a port, which is given back too, and carries each connection to `to`, one at a time.
    ///
    /// # Panics
    /// If nothing can be listened on.
    #[must_use]
    pub fn over_tcp(to: (String, u16), seed: u64, rates: NoiseRates) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let cable = Self::start(seed, rates, move |shared| {
            while !shared.is_over.load(Ordering::Relaxed) {
                let Ok((near, _)) = listener.accept() else {
                    wait(&listener, PollFlags::IN);
                    continue;
                };
                let Ok(far) = TcpStream::connect((to.0.as_str(), to.1)) else {
                    continue;
                };
                for stream in [&near, &far] {
                    stream.set_nodelay(true).unwrap();
                    stream.set_nonblocking(true).unwrap();
                }
                let (near, far) = (OwnedFd::from(near), OwnedFd::from(far));
                shared.carry(&mut near.into(), &mut far.into());
            }
        });
        (cable, port)
    }

    /// Has other faults from here on.
    ///
    /// # Panics
    /// If the cable's thread has.
    pub fn set_rates(&self, rates: NoiseRates) {
        let mut noises = self.shared.noises.lock().unwrap();
        noises.iter_mut().for_each(|noise| noise.set_rates(rates));
    }

    /// What was done to both ways.
    ///
    /// # Panics
    /// If the cable's thread has.
    #[must_use]
    pub fn counts(&self) -> [NoiseCounts; 2] {
        let noises = self.shared.noises.lock().unwrap();
        [noises[0].counts(), noises[1].counts()]
    }

    fn start(seed: u64, rates: NoiseRates, run: impl FnOnce(&Shared) + Send + 'static) -> Self {
        let noise = |way| Noise::new(seed.wrapping_mul(2).wrapping_add(way), rates);
        let shared = Arc::new(Shared {
            is_over: AtomicBool::new(false),
            noises: Mutex::new([noise(0), noise(1)]),
        });
        let carried = Arc::clone(&shared);
        Self {
            shared,
            thread: Some(std::thread::spawn(move || run(&carried))),
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

impl Shared {
    /// Until an end is gone for good, or the cable is.
    fn carry(&self, one: &mut File, two: &mut File) {
        while !self.is_over.load(Ordering::Relaxed) {
            match (self.pass(one, two, 1), self.pass(two, one, 0)) {
                (Moved::Ended, _) | (_, Moved::Ended) => return,
                (Moved::Some, _) | (_, Moved::Some) => {}
                // A terminal that nobody has open is always ready, for an error.
                (Moved::Absent, _) | (_, Moved::Absent) => std::thread::park_timeout(LOOK),
                (Moved::None, Moved::None) => {
                    let ends = [&*one, &*two];
                    let mut fds = ends.map(|end| PollFd::new(end, PollFlags::IN));
                    let look = Timespec::try_from(LOOK).unwrap();
                    let _ = poll(&mut fds, Some(&look));
                }
            }
        }
    }

    fn pass(&self, from: &mut File, to: &mut File, way: usize) -> Moved {
        let mut bytes = [0; 256];
        let n = match from.read(&mut bytes) {
            Ok(0) => return Moved::Ended,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Moved::None,
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Moved::Ended,
            Err(_) => return Moved::Absent,
        };
        let mut out = Vec::new();
        self.noises.lock().unwrap()[way].pass(&bytes[..n], &mut out);
        let mut rest = &out[..];
        while !rest.is_empty() && !self.is_over.load(Ordering::Relaxed) {
            match to.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => wait(&*to, PollFlags::OUT),
                // Nobody is there: the bytes are lost, and the reads tell it.
                Err(_) => break,
            }
        }
        Moved::Some
    }
}

enum Moved {
    Some,
    None,
    Absent,
    Ended,
}

fn wait(fd: impl AsFd, flags: PollFlags) {
    let look = Timespec::try_from(LOOK).unwrap();
    let _ = poll(&mut [PollFd::new(&fd, flags)], Some(&look));
}
