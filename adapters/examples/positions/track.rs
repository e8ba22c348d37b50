//! Where somebody is, from the positions that came: no socket and no clock.
//!
//! A datagram has 22 bytes, big-endian: `POSN`, a sequence number (2), the sender's milliseconds (8), x
//! and y (4 each, IEEE 754).

/// How late it shows, in milliseconds, so that two lost datagrams in a row are not seen.
const DELAY: f64 = 100.0;

/// How many milliseconds a movement goes on beyond the newest position.
pub(crate) const FURTHER: f64 = 50.0;

/// Who is silent for so many milliseconds is gone, and may begin again with any number.
const GONE: f64 = 1000.0;

/// How many positions are kept of each sender: more than come in `DELAY`.
const KEPT: usize = 8;

/// Where somebody was, and when by their own clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Position {
    pub(crate) seq: u16,
    pub(crate) millis: u64,
    pub(crate) at: [f32; 2],
}

impl Position {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let [x, y] = self.at.map(f32::to_be_bytes);
        let (seq, millis) = (self.seq.to_be_bytes(), self.millis.to_be_bytes());
        [b"POSN", &seq[..], &millis, &x, &y].concat()
    }

    pub(crate) fn decode(datagram: &[u8]) -> Option<Self> {
        let bytes: [u8; 22] = datagram.try_into().ok()?;
        let number = |at: usize| f32::from_be_bytes([0, 1, 2, 3].map(|n| bytes[at + n]));
        let at = [number(14), number(18)];
        let is_one = bytes.starts_with(b"POSN") && at.iter().all(|number| number.is_finite());
        is_one.then_some(Self {
            seq: u16::from_be_bytes([bytes[4], bytes[5]]),
            millis: u64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|n| bytes[6 + n])),
            at,
        })
    }
}

/// Where somebody is at a time: between the two of `kept` around it (the newest is the last), or up to
/// `FURTHER` beyond the newest.
pub(crate) fn place(kept: &[Position], millis: f64) -> Option<[f64; 2]> {
    let [.., before, newest] = kept else {
        return kept.first().map(|only| only.at.map(f64::from));
    };
    let millis = millis.clamp(kept[0].millis as f64, newest.millis as f64 + FURTHER);
    let around = kept.windows(2).find(|pair| millis <= pair[1].millis as f64);
    let (from, to) = around.map_or((before, newest), |pair| (&pair[0], &pair[1]));
    let share = (millis - from.millis as f64) / (to.millis - from.millis) as f64;
    Some([0, 1].map(|axis| {
        let (from, to) = (f64::from(from.at[axis]), f64::from(to.at[axis]));
        from + share * (to - from)
    }))
}

/// What is known of one sender.
#[derive(Debug, Default)]
pub(crate) struct Track {
    pub(crate) kept: Vec<Position>,
    /// Our clock less the sender's, with the shortest way of a datagram, at the time `heard`.
    offset: f64,
    heard: f64,
}

impl Track {
    /// Takes what came, unless it is late or came before. Behind 65,535 the numbers begin again.
    pub(crate) fn take(&mut self, new: Position, now: f64) {
        let mut offset = now - new.millis as f64;
        if let Some(newest) = self.kept.last() {
            if new.seq.wrapping_sub(newest.seq) as i16 <= 0 || new.millis <= newest.millis {
                return;
            }
            offset = offset.min(self.offset(now));
        }
        (self.offset, self.heard) = (offset, now);
        self.kept
            .drain(..(self.kept.len() + 1).saturating_sub(KEPT));
        self.kept.push(new);
    }

    /// It creeps, since no two clocks run alike.
    fn offset(&self, now: f64) -> f64 {
        self.offset + (now - self.heard) / 1000.0
    }

    /// Where it is shown; `None` once it is gone.
    pub(crate) fn shown(&self, now: f64) -> Option<[f64; 2]> {
        let is_here = now - self.heard < GONE;
        place(&self.kept, now - self.offset(now) - DELAY).filter(|_| is_here)
    }
}
