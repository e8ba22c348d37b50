//! What happened: always as a hash, as text when a seed is replayed.

use super::rng::mix;
use std::collections::VecDeque;

/// How many lines of text are kept.
const LINES: usize = 60;

/// The trace of one run.
#[derive(Debug, Default)]
pub(super) struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
}

impl Trace {
    /// A trace that keeps its last lines as text too.
    pub(super) fn with_text() -> Self {
        Self {
            hash: 0,
            lines: Some(VecDeque::new()),
        }
    }

    /// Something happened.
    pub(super) fn note(&mut self, now: u64, what: &'static str, values: &[u64]) {
        let tag = what.bytes().fold(now, |h, b| mix(h ^ u64::from(b)));
        self.hash = values
            .iter()
            .fold(mix(self.hash ^ tag), |hash, &value| mix(hash ^ value));
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES {
                lines.pop_front();
            }
            let (secs, micros) = (now / 1_000_000, now % 1_000_000);
            lines.push_back(format!("{secs:4}.{micros:06} {what} {values:?}"));
        }
    }

    /// A turn at this time.
    pub(super) const fn tick(&mut self, now: u64) {
        self.hash = mix(self.hash ^ now);
    }

    /// Bytes went over a link.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.hash = mix(self.hash ^ u64::from_be_bytes(*word));
        }
        if !rest.is_empty() {
            let word = rest.iter().fold(1, |w, &b| (w << 8) | u64::from(b));
            self.hash = mix(self.hash ^ word);
        }
    }

    /// A message in words; free when nobody reads it.
    pub(super) fn words(&mut self, now: u64, words: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == LINES {
                lines.pop_front();
            }
            let (secs, micros) = (now / 1_000_000, now % 1_000_000);
            lines.push_back(format!("{secs:4}.{micros:06} {}", words()));
        }
    }

    /// All of it as one number.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    /// The last lines.
    pub(super) fn tail(&self) -> String {
        let lines = self.lines.iter().flatten();
        lines.fold(String::new(), |all, line| all + line + "\n")
    }
}
