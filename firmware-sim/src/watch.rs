//! A run as others see it: numbers to look at while it goes on, and a way to stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fleet::{Live, Phase, Shared};

/// A handle on a run, for other threads.
///
/// ```
/// let watch = firmware_sim::Watch::new();
/// assert!(watch.progress().is_none()); // not begun
/// watch.stop();
/// assert!(watch.is_stopped());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Watch {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    stop: Arc<AtomicBool>,
    fleet: Mutex<Option<Numbers>>,
}

#[derive(Debug)]
struct Numbers {
    shared: Arc<Shared>,
    live: Vec<Arc<Live>>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What the fleet is at.
    pub phase: Phase,
    /// Devices that are to join rooms: all but probes of echo.
    pub members: u64,
    /// Devices that are members of all their rooms.
    pub joined: u64,
    /// Posts that were put into an outbox.
    pub posts: u64,
    /// Posts with a good verdict.
    pub acknowledged: u64,
    /// Entries and markers that were handed on.
    pub delivered: u64,
    /// Times that a device came back after a lost connection.
    pub reconnects: u64,
}

impl Watch {
    /// A handle on a run that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends posting early; the rest of the run is as ever.
    pub fn stop(&self) {
        self.inner.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.inner.stop.load(Ordering::Relaxed)
    }

    /// What a signal's handler may raise to stop the run.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.inner.stop)
    }

    /// Where the run stands; `None` before it has begun.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let fleet = self.inner.fleet.lock();
        let fleet = fleet.unwrap_or_else(PoisonError::into_inner);
        let Numbers { shared, live } = fleet.as_ref()?;
        let sum = |of: fn(&Live) -> u64| live.iter().map(|live| of(live)).sum();
        Some(Progress {
            phase: shared.phase(),
            members: shared.members(),
            joined: sum(|live| live.joined.get()),
            posts: sum(|live| live.posts.get()),
            acknowledged: sum(|live| live.acknowledged.get()),
            delivered: sum(|live| live.delivered.get()),
            reconnects: sum(|live| live.reconnects.get()),
        })
    }

    pub(crate) fn attach(&self, shared: &Arc<Shared>, live: &[Arc<Live>]) {
        let mut fleet = self
            .inner
            .fleet
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *fleet = Some(Numbers {
            shared: Arc::clone(shared),
            live: live.to_vec(),
        });
    }
}
