//! Live progress on standard error: a bar on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use firmware_sim::{Phase, Progress, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a terminal and a file are told.
const ON_TERMINAL: Duration = Duration::from_millis(100);
const IN_LINES: Duration = Duration::from_secs(1);

/// Shows how a run goes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Show {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Show {
    /// A run of `devices` that post for `time`. Without a thread to show it, there is no progress.
    pub(crate) fn start(watch: Watch, devices: u32, time: Duration) -> Self {
        let (over, ended) = mpsc::channel();
        let screen = Screen::new(devices, time);
        let show = move || {
            let mut screen = screen;
            while ended.recv_timeout(screen.pace()) == Err(RecvTimeoutError::Timeout) {
                if let Some(progress) = watch.progress() {
                    screen.tell(&progress);
                }
            }
            screen.clear();
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

struct Screen {
    bar: Option<ProgressBar>,
    devices: u32,
    time: Duration,
    posting_since: Option<Instant>,
}

impl Screen {
    fn new(devices: u32, time: Duration) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let target = ProgressDrawTarget::stderr();
            let length = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let style = ProgressStyle::with_template("{bar:24} {msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(Some(length), target).with_style(style)
        });
        Self {
            bar,
            devices,
            time,
            posting_since: None,
        }
    }

    fn pace(&self) -> Duration {
        if self.bar.is_some() {
            ON_TERMINAL
        } else {
            IN_LINES
        }
    }

    fn tell(&mut self, progress: &Progress) {
        let now = Instant::now();
        if progress.phase >= Phase::Posting {
            self.posting_since.get_or_insert(now);
        }
        let elapsed = self
            .posting_since
            .map_or(Duration::ZERO, |since| now - since);
        let line = self.line(progress, elapsed.min(self.time));
        match &self.bar {
            Some(bar) => {
                bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
                bar.set_message(line);
            }
            // Nobody may be reading any more; the run goes on.
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    fn line(&self, progress: &Progress, elapsed: Duration) -> String {
        let Progress {
            joined,
            posts,
            acknowledged,
            delivered,
            reconnects,
            ..
        } = progress;
        let (now, all) = (elapsed.as_secs_f64(), self.time.as_secs_f64());
        match progress.phase {
            Phase::Joining => format!(
                "joining: {joined} of {} devices in their rooms",
                self.devices
            ),
            Phase::Posting => format!(
                "{now:.0} of {all:.0} s: {posts} posts, {acknowledged} acknowledged, {delivered} delivered, {reconnects} reconnects"
            ),
            Phase::Settling | Phase::Reading | Phase::Leaving => format!(
                "settling: {acknowledged} of {posts} posts acknowledged, {delivered} delivered"
            ),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
