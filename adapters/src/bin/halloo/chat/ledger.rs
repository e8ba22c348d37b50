//! The posts that have no verdict yet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use halloo_std::client::PostId;

/// After so long without a verdict, a post is shown as open.
const LATE: Duration = Duration::from_secs(2);

/// Posts on their way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: HashMap<PostId, Open>,
}

/// A post without verdict.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) room: String,
    pub(super) body: Vec<u8>,
    since: Instant,
    is_shown: bool,
}

impl Ledger {
    pub(super) fn add(&mut self, id: PostId, room: String, body: Vec<u8>) {
        let open = Open {
            room,
            body,
            since: Instant::now(),
            is_shown: false,
        };
        self.open.insert(id, open);
    }

    pub(super) fn settle(&mut self, id: PostId) -> Option<Open> {
        self.open.remove(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// When the next post becomes late.
    pub(super) fn next_late(&self) -> Option<Instant> {
        let unshown = self.open.values().filter(|open| !open.is_shown);
        unshown.map(|open| open.since + LATE).min()
    }

    /// Posts that became late since the last call, in their order.
    pub(super) fn take_late(&mut self) -> Vec<&Open> {
        let is_late = |open: &Open| !open.is_shown && open.since.elapsed() >= LATE;
        let late = self.open.iter_mut().filter(|(_, open)| is_late(open));
        let mut late: Vec<_> = late.collect();
        late.sort_by_key(|(id, _)| **id);
        late.into_iter()
            .map(|(_, open)| {
                open.is_shown = true;
                &*open
            })
            .collect()
    }
}
