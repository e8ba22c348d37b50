//! How a running hub is told to stop: by a handle, or by the signals of the terminal.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mio::Waker;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Stops every hub that runs with it or with a clone of it.
///
/// ```
/// use halloo_std::hub::Shutdown;
/// let shutdown = Shutdown::new();
/// let handle = shutdown.clone();
/// handle.trigger();
/// assert!(shutdown.is_triggered());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    triggered: AtomicBool,
    wakers: Mutex<Vec<Arc<Waker>>>,
}

impl Shutdown {
    /// A handle that nothing has triggered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the hubs to stop; they say `Bye` first, so `run` returns a little later.
    pub fn trigger(&self) {
        self.shared.triggered.store(true, Ordering::Release);
        for waker in self.wakers().iter() {
            if let Err(error) = waker.wake() {
                tracing::warn!(%error, "a hub could not be woken to stop");
            }
        }
    }

    /// Whether `trigger` was called.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.shared.triggered.load(Ordering::Acquire)
    }

    /// From now on `trigger` wakes this one.
    pub(super) fn attach(&self, waker: &Arc<Waker>) {
        self.wakers().push(Arc::clone(waker));
    }

    pub(super) fn detach(&self, waker: &Arc<Waker>) {
        self.wakers().retain(|other| !Arc::ptr_eq(other, waker));
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Waker>>> {
        self.shared
            .wakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle that SIGINT and SIGTERM trigger; a second signal ends the process at once.
///
/// For the `main` of a program: it changes what these signals do, for the whole process and for
/// ever, and starts a thread that waits for them.
pub fn signals() -> io::Result<Shutdown> {
    let shutdown = Shutdown::new();
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it, the second finds it up.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    let mut waiting = Signals::new([SIGINT, SIGTERM])?;
    let handle = shutdown.clone();
    thread::Builder::new()
        .name("halloo-signals".into())
        .spawn(move || {
            for signal in waiting.forever() {
                tracing::info!(signal, "stopping");
                handle.trigger();
            }
        })?;
    Ok(shutdown)
}
