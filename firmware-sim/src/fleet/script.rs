//! What a device posts and when, from its seed alone.
//!
//! Knows the kind of the device and its own random numbers. Knows no time and no connection, so
//! nothing that happens in a run can change what it says.

use std::fmt;

use fastrand::Rng;
use halloo_core::time::Duration;

use super::body::COMMAND;
use super::plan::{Kind, Role};

/// One post of so many is a command.
const COMMAND_SHARE: u32 = 20;

/// The posts of one device, without end.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    kind: Kind,
    rooms: usize,
    period: u64,
    rng: Rng,
}

/// One post of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which of the device's rooms it goes to.
    pub(crate) place: usize,
    pub(crate) text: Text,
    /// The time to the next post.
    pub(crate) pause: Duration,
}

/// What a post says to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Reading { degrees: u32, tenths: u32 },
    Command(u32),
    Answer,
    Chat(u32),
}

impl Script {
    /// The script of a device that posts about every `period`.
    pub(crate) fn new(role: &Role, period: Duration) -> Self {
        Self {
            kind: role.kind,
            rooms: role.rooms.len(),
            period: period.as_ticks(),
            rng: Rng::with_seed(role.seed),
        }
    }

    /// The time to the first post; `None` for a device that only answers.
    pub(crate) fn first(&mut self) -> Option<Duration> {
        let posts = matches!(self.kind, Kind::Sensor | Kind::Talker);
        posts.then(|| Duration::from_ticks(self.rng.u64(..self.period.max(1))))
    }

    pub(crate) fn next_line(&mut self) -> Line {
        // Jitter of half a period, so that a fleet does not march in step.
        let half = self.period / 2;
        let pause = Duration::from_ticks(half + self.rng.u64(..=2 * half));
        let place = self.rng.usize(..self.rooms.max(1));
        let number = self.rng.u32(..100);
        let text = match self.kind {
            _ if self.rng.u32(..COMMAND_SHARE) == 0 => Text::Command(number),
            Kind::Talker => Text::Chat(number),
            _ => Text::Reading {
                degrees: number,
                tenths: self.rng.u32(..10),
            },
        };
        Line { place, text, pause }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading { degrees, tenths } => write!(f, "val {degrees}.{tenths}C "),
            Self::Command(number) => write!(f, "{COMMAND} led {number} "),
            Self::Answer => f.write_str("rep done "),
            Self::Chat(number) => write!(f, "say so {number} "),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::plan::Plan;
    use super::*;
    use crate::Config;

    fn lines(seed: u64, salt: u64) -> Vec<Line> {
        let config = Config {
            devices: 40,
            seed,
            ..Config::default()
        };
        let plan = Plan::new(&config, true, salt);
        let scripts = plan.roles.iter().map(|role| {
            let mut script = Script::new(role, Duration::from_ticks(1000));
            script.first();
            (0..50).map(move |_| script.next_line())
        });
        scripts.flatten().collect()
    }

    #[test]
    fn a_seed_gives_the_same_posts_in_every_run_and_another_seed_others() {
        assert_eq!(lines(7, 1), lines(7, 2));
        assert_ne!(lines(7, 1), lines(8, 1));
    }

    #[test]
    fn commands_are_a_small_part_of_many_different_texts() {
        let lines = lines(7, 1);
        let commands = lines
            .iter()
            .filter(|line| matches!(line.text, Text::Command(_)));
        let commands = commands.count();
        assert!((50..200).contains(&commands), "{commands} of 2000");
        let texts: HashSet<_> = lines.iter().map(|line| line.text.to_string()).collect();
        assert!(texts.len() > 500, "{}", texts.len());
    }

    #[test]
    fn posts_keep_to_the_period_on_average() {
        let lines = lines(7, 1);
        let pauses: Vec<_> = lines.iter().map(|line| line.pause.as_ticks()).collect();
        assert!(pauses.iter().all(|pause| (500..=1500).contains(pause)));
        let mean = pauses.iter().sum::<u64>() / pauses.len() as u64;
        assert!((970..1030).contains(&mean), "{mean}");
    }
}
