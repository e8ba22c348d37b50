//! Where messages and remarks are shown: plain streams, or a terminal with a line being typed.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Editor, Event, EventContext, EventHandler,
    ExternalPrinter, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use signal_hook::consts::SIGINT;
use signal_hook::low_level::raise;

use super::MAX_LINE;
use crate::failure::Failure;
use crate::input::Input;
use crate::output;

/// How long the next line waits for what became of the last one. The chat itself may be waiting to
/// print something, for which the editor has to run.
const COURTESY: Duration = Duration::from_millis(50);

type Keys = Editor<(), MemHistory>;

/// What is left of a Ctrl-D that was typed while nobody edited, such as before the first prompt: the
/// system takes it for the end of the input, and gives an editor a NUL in its place.
const END: KeyEvent = KeyEvent(KeyCode::Char('@'), Modifiers::CTRL);

/// A person takes longer to press the keys that are a NUL, such as Ctrl-Space, which ends nothing.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Where a chat is shown.
pub(super) struct Screen {
    terminal: Option<Terminal>,
    /// Whoever read the output has gone.
    is_unread: bool,
}

/// A terminal whose last line a person edits.
struct Terminal {
    printer: Box<dyn ExternalPrinter + Send>,
    /// What stands before the next line; the editor ends when this is gone.
    prompts: Option<Sender<String>>,
    is_coloured: bool,
    /// How the terminal was before, to be set again at the end.
    before: Option<Termios>,
}

/// An input line of its own below what is shown; `None` on a terminal that has no way to move in
/// a line.
///
/// The editor has a thread, since it waits for keys; its lines come out of a pipe, so that the
/// chat waits for them as for those of any other input.
pub(super) fn editor(prompt: String) -> Result<Option<(Input, Screen)>, Failure> {
    let before = tcgetattr(io::stdin()).ok();
    let config = Config::builder().auto_add_history(true).build();
    let failed =
        |e: &dyn std::fmt::Display| Failure::Job(format!("the terminal cannot be used: {e}"));
    let mut keys = Keys::with_history(config, MemHistory::new()).map_err(|e| failed(&e))?;
    let asked_at = Arc::new(Mutex::new(Instant::now()));
    let end = Box::new(EarlyEnd(Arc::clone(&asked_at)));
    keys.bind_sequence(END, EventHandler::Conditional(end));
    let (Ok(printer), Ok(mut logger)) = (
        keys.create_external_printer(),
        keys.create_external_printer(),
    ) else {
        return Ok(None);
    };
    let (lines, typed) = io::pipe().map_err(|e| failed(&e))?;
    let (prompts, told) = mpsc::channel();
    thread::Builder::new()
        .name("halloo-keys".into())
        .spawn(move || read_keys(keys, typed, prompt, &told, &asked_at))
        .map_err(|e| failed(&e))?;
    output::log_to(Some(Box::new(move |entry| {
        if logger.print(entry.into()).is_err() {
            output::complain(entry.trim_end());
        }
    })));
    let terminal = Terminal {
        printer: Box::new(printer),
        prompts: Some(prompts),
        is_coloured: output::is_coloured(&io::stdout()),
        before,
    };
    let screen = Screen {
        terminal: Some(terminal),
        is_unread: false,
    };
    let input = Input::new(OwnedFd::from(lines), MAX_LINE);
    Ok(Some((input, screen)))
}

/// Ends the input on a NUL that is there as soon as a line is asked for; it holds when that was.
struct EarlyEnd(Arc<Mutex<Instant>>);

impl ConditionalEventHandler for EarlyEnd {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, ctx: &EventContext<'_>) -> Option<Cmd> {
        let asked_at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end = ctx.line().is_empty() && asked_at.elapsed() < AT_ONCE;
        Some(if is_end { Cmd::EndOfFile } else { Cmd::Noop })
    }
}

fn read_keys(
    mut keys: Keys,
    mut typed: PipeWriter,
    mut prompt: String,
    told: &Receiver<String>,
    asked_at: &Mutex<Instant>,
) {
    loop {
        *asked_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match keys.readline(&prompt) {
            Ok(line) => {
                // What was told too late for the last line says nothing about this one.
                while told.try_recv().is_ok() {}
                if writeln!(typed, "{line}").is_err() {
                    return;
                }
            }
            // As the key does where nobody edits. If it cannot be raised, the end of the input
            // has to do.
            Err(ReadlineError::Interrupted) => return drop(raise(SIGINT)),
            // Ctrl-D and a lost terminal end the input, which closes the pipe.
            Err(_) => return,
        }
        match told.recv_timeout(COURTESY) {
            Ok(next) => prompt = next,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Screen {
    /// Messages on stdout, remarks on stderr.
    pub(super) const fn plain() -> Self {
        Self {
            terminal: None,
            is_unread: false,
        }
    }

    /// Whether whoever read the output has gone.
    pub(super) const fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Lets the next line be typed, after one that was taken.
    pub(super) fn ask(&mut self, prompt: String) {
        if let Some(prompts) = self.terminal.as_ref().and_then(|at| at.prompts.as_ref()) {
            // An editor that has ended asks for nothing.
            let _ = prompts.send(prompt);
        }
    }

    /// Lets no further line be typed.
    pub(super) fn ask_no_more(&mut self) {
        if let Some(at) = &mut self.terminal {
            at.prompts = None;
        }
    }

    /// Shows what somebody else posted.
    pub(super) fn message(&mut self, room: &str, from: &str, body: &str) -> Result<(), Failure> {
        match &mut self.terminal {
            Some(at) => {
                let (dim, bold, off) = at.styles();
                at.print(&format!("{dim}[{room}]{off} {bold}{from}:{off} {body}"))
            }
            None => self.say(&format!("[{room}] {from}: {body}")),
        }
    }

    /// Shows a post of one's own that the hub has.
    pub(super) fn own(&mut self, room: &str, name: &str, body: &str) -> Result<(), Failure> {
        self.mine(room, name, body, " ✓")
    }

    /// Shows a line of one's own that is sent; nobody says whether it arrived.
    pub(super) fn sent(&mut self, room: &str, name: &str, body: &str) -> Result<(), Failure> {
        self.mine(room, name, body, "")
    }

    fn mine(&mut self, room: &str, name: &str, body: &str, tick: &str) -> Result<(), Failure> {
        match &mut self.terminal {
            Some(at) => {
                let (dim, _, off) = at.styles();
                at.print(&format!("{dim}[{room}] {name}: {body}{tick}{off}"))
            }
            None => self.say(&format!("[{room}] {name}: {body}")),
        }
    }

    /// Shows what is no post.
    pub(super) fn remark(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.terminal {
            Some(at) => {
                let (dim, _, off) = at.styles();
                at.print(&format!("{dim}-- {line}{off}"))
            }
            None => {
                output::complain(&format!("-- {line}"));
                Ok(())
            }
        }
    }

    /// What is posted has to be posted, whether or not somebody reads of it.
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        if self.is_unread {
            return Ok(());
        }
        match output::say(line) {
            Err(Failure::NoReader) => {
                self.is_unread = true;
                Ok(())
            }
            outcome => outcome,
        }
    }
}

impl Terminal {
    /// Dim, bold, and neither.
    const fn styles(&self) -> (&'static str, &'static str, &'static str) {
        if self.is_coloured {
            ("\x1b[2m", "\x1b[1m", "\x1b[0m")
        } else {
            ("", "", "")
        }
    }

    fn print(&mut self, line: &str) -> Result<(), Failure> {
        match self.printer.print(format!("{line}\n")) {
            Ok(()) => Ok(()),
            // The editor has just ended.
            Err(_) => output::say(line),
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        output::log_to(None);
        // A line that is begun is not the shell's; nobody is left to tell if this fails.
        let mut out = io::stdout().lock();
        let _ = out.write_all(b"\r\x1b[K").and_then(|()| out.flush());
        // The thread may be in the middle of a line, with the terminal in its own mode.
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
