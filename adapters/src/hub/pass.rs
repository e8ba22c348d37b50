//! How many connections are written to before the loop looks again for what was posted.
//!
//! A write costs about the same for one entry and for fifty. So a pass over all outputs is made in
//! parts while posts come: those who are served late in the pass get longer runs.

/// In how many parts a pass is made, at most.
pub(super) const PARTS: usize = 16;

/// A pass over all outputs.
#[derive(Debug)]
pub(super) struct Pass {
    parts: usize,
    part: usize,
    left: usize,
}

impl Pass {
    /// Each pass is made in so many parts.
    pub(super) const fn new(parts: usize) -> Self {
        Self {
            parts,
            part: 0,
            left: 0,
        }
    }

    /// Whether the next part is the first one.
    pub(super) const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// How many of the `queued` outputs this turn serves.
    pub(super) fn part(&mut self, queued: usize) -> usize {
        if self.is_over() {
            self.left = queued;
            self.part = (queued / self.parts).max(2);
        }
        let part = self.part.min(self.left);
        self.left -= part;
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_serves_each_output_once_in_parts() {
        let mut pass = Pass::new(16);
        let parts: Vec<_> = (0..16).map(|_| pass.part(1600)).collect();
        assert_eq!(parts, [100; 16]);
        assert!(pass.is_over());
        assert_eq!(pass.part(5), 2, "the next pass");
        assert_eq!(
            pass.part(9),
            2,
            "who came later has to wait for the one after it"
        );
        assert!(!pass.is_over());
        assert_eq!(pass.part(9), 1);
        assert_eq!(pass.part(0), 0);
        assert_eq!(Pass::new(1).part(1000), 1000, "no parts are wanted");
    }
}
