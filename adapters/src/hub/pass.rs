//! How many connections are written to before the loop looks again for what was posted.
//!
//! A write costs about the same for one entry and for fifty. So a pass over all outputs is made in
//! parts while posts come: those who are served late in the pass get longer runs.

/// In how many parts a pass is made, at most.
const PARTS: usize = 16;

/// A pass over all outputs.
#[derive(Debug)]
pub(super) struct Pass {
    left: usize,
    part: usize,
    /// The bytes that chat connections handed in during this pass.
    pub(super) taken: usize,
    most: usize,
}

impl Pass {
    /// A pass is made in one go once `most` bytes came during it: what is posted then could push
    /// entries out of a log that nobody was slow to read.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            left: 0,
            part: 0,
            taken: 0,
            most,
        }
    }

    /// How many of the `queued` outputs this turn serves.
    pub(super) fn part(&mut self, queued: usize) -> usize {
        if self.left == 0 {
            self.left = queued;
            self.part = (queued / PARTS).max(2);
        }
        let part = match self.taken < self.most {
            true => self.part.min(self.left),
            false => self.left,
        };
        self.left -= part;
        if self.left == 0 {
            self.taken = 0;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_serves_each_output_once_in_parts_and_ends_at_once_when_much_was_posted() {
        let mut pass = Pass::new(100);
        let parts: Vec<_> = (0..16).map(|_| pass.part(1600)).collect();
        assert_eq!(parts, [100; 16]);
        assert_eq!(pass.part(5), 2, "the next pass");
        pass.taken = 100;
        assert_eq!(pass.part(9), 3, "all that is left of it");
        assert_eq!(pass.part(0), 0);
        assert_eq!(Pass::new(0).part(1000), 1000, "no parts are wanted");
    }
}
