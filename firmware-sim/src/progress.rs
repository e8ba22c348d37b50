//! Live progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firmware_sim::{Config, Phase, Progress, Watch};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the run is looked at, and a terminal is told.
const LOOK: Duration = Duration::from_millis(100);

/// How often there is a line where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// Shows how a run goes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Show {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Show {
    /// Tells what is run, and then how it goes. Without a thread to show that, nothing is shown.
    pub(crate) fn start(config: &Config, watch: Watch) -> Self {
        let (over, ended) = mpsc::channel();
        let mut screen = Screen::new(config);
        let show = move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if let Some(progress) = watch.progress() {
                    screen.tell(&progress);
                }
            }
            screen.end(watch.progress());
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(show);
        Self {
            over: Some(over),
            thread: thread.ok(),
        }
    }
}

impl Drop for Show {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.thread.take() {
            // What is shown is no part of what is found.
            let _ = thread.join();
        }
    }
}

/// A phase as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Joining,
    Posting,
    Settling,
}

struct Screen {
    bar: Option<ProgressBar>,
    time: Duration,
    stage: Stage,
    /// When the stage began.
    since: Instant,
    /// When there was a line last.
    told: Instant,
    /// What comes before everything else.
    intent: Option<String>,
}

impl Screen {
    fn new(config: &Config) -> Self {
        let bar = is_screen(&io::stderr()).then(|| {
            let style = ProgressStyle::with_template("{prefix:<20} {wide_bar}\n{wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let target = ProgressDrawTarget::stderr();
            ProgressBar::with_draw_target(Some(1), target).with_style(style)
        });
        Self {
            bar,
            time: config.time,
            stage: Stage::Joining,
            since: Instant::now(),
            told: Instant::now(),
            intent: Some(intent(config)),
        }
    }

    fn tell(&mut self, progress: &Progress) {
        // Nobody may be reading; the run goes on, here and below.
        if let Some(intent) = self.intent.take() {
            let _ = writeln!(io::stderr(), "{intent}");
        }
        let now = Instant::now();
        let stage = Stage::of(progress.phase);
        if stage != self.stage {
            (self.stage, self.since, self.told) = (stage, now, now);
        }
        let elapsed = (now - self.since).min(self.time);
        let what = match stage {
            Stage::Joining => "joining".into(),
            Stage::Posting => {
                let (now, all) = (elapsed.as_secs_f64(), self.time.as_secs_f64());
                format!("posting {now:.0} of {all:.0} s")
            }
            Stage::Settling => "settling".into(),
        };
        let counts = counts(stage, progress);
        if let Some(bar) = &self.bar {
            let (done, all) = match stage {
                Stage::Joining => (progress.joined, progress.members),
                Stage::Posting => (millis(elapsed), millis(self.time)),
                Stage::Settling => (progress.acknowledged, progress.posts),
            };
            bar.set_length(all.max(1));
            bar.set_position(done);
            bar.set_prefix(what);
            bar.set_message(counts);
        } else if now - self.told >= LINE {
            self.told += LINE;
            let _ = writeln!(io::stderr(), "{what}: {counts}");
        }
    }

    /// Leaves a last line, or the terminal to the report.
    fn end(&self, progress: Option<Progress>) {
        if let Some(bar) = &self.bar {
            return bar.finish_and_clear();
        }
        let progress = progress.filter(|progress| progress.phase != Phase::Joining);
        if let Some(progress) = progress {
            let counts = counts(Stage::Settling, &progress);
            let _ = writeln!(io::stderr(), "done: {counts}");
        }
    }
}

/// What is about to be run, with what it takes to run it again.
fn intent(config: &Config) -> String {
    let hub = match &config.hub {
        Some(hub) => hub.to_string(),
        None => "a hub in this process".into(),
    };
    let (devices, seconds) = (
        HumanCount(u64::from(config.devices)),
        config.time.as_secs_f64(),
    );
    let devices = if config.devices == 1 {
        "1 device".into()
    } else {
        format!("{devices} devices")
    };
    format!(
        "{devices} at {hub}, posting for {seconds} s, seed {}",
        config.seed
    )
}

/// Whether `out` is a terminal that can draw over what it has drawn.
pub(crate) fn is_screen(out: &impl IsTerminal) -> bool {
    let is_dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    out.is_terminal() && !is_dumb
}

/// Whether `out` is a screen, and the user has nothing against colours there (no-color.org).
pub(crate) fn is_coloured(out: &impl IsTerminal) -> bool {
    is_screen(out) && env::var_os("NO_COLOR").is_none_or(|said| said.is_empty())
}

impl Stage {
    const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Joining => Self::Joining,
            Phase::Posting => Self::Posting,
            Phase::Settling | Phase::Reading | Phase::Leaving => Self::Settling,
        }
    }
}

fn counts(stage: Stage, progress: &Progress) -> String {
    let count = HumanCount;
    if stage == Stage::Joining {
        let (joined, members) = (count(progress.joined), count(progress.members));
        return format!("{joined} of {members} devices are in their rooms");
    }
    format!(
        "{} posts, {} acknowledged, {} delivered, {} reconnects",
        count(progress.posts),
        count(progress.acknowledged),
        count(progress.delivered),
        count(progress.reconnects)
    )
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
