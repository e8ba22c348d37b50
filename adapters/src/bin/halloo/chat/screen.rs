//! Where messages and remarks are shown: plain streams, or a terminal with a line being typed.

use std::io::{self, PipeWriter, Write};
use std::os::fd::OwnedFd;
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{Config, DefaultEditor, ExternalPrinter};

use super::input::Input;
use crate::failure::Failure;
use crate::output;

/// Where a chat is shown.
pub(super) struct Screen {
    editor: Option<Editor>,
}

/// A terminal whose last line a person edits.
struct Editor {
    printer: Box<dyn ExternalPrinter + Send>,
    /// How the terminal was before, to be set again at the end.
    before: Option<Termios>,
}

/// An input line of its own below what is shown.
///
/// The editor has a thread, since it waits for keys; its lines come out of a pipe, so that the
/// chat waits for them as for those of any other input.
pub(super) fn editor() -> Result<(Input, Screen), Failure> {
    let before = tcgetattr(io::stdin()).ok();
    let config = Config::builder().auto_add_history(true).build();
    let failed =
        |e: &dyn std::fmt::Display| Failure::Job(format!("the terminal cannot be used: {e}"));
    let mut editor = DefaultEditor::with_config(config).map_err(|e| failed(&e))?;
    let printer = editor.create_external_printer().map_err(|e| failed(&e))?;
    let (lines, typed) = io::pipe().map_err(|e| failed(&e))?;
    thread::Builder::new()
        .name("halloo-keys".into())
        .spawn(move || read_keys(editor, typed))
        .map_err(|e| failed(&e))?;
    let screen = Screen {
        editor: Some(Editor {
            printer: Box::new(printer),
            before,
        }),
    };
    Ok((Input::new(OwnedFd::from(lines)), screen))
}

fn read_keys(mut editor: DefaultEditor, mut typed: PipeWriter) {
    // Ctrl-C, Ctrl-D and a lost terminal all end the input, which closes the pipe.
    while let Ok(line) = editor.readline("> ") {
        if writeln!(typed, "{line}").is_err() {
            break;
        }
    }
}

impl Screen {
    /// Messages on stdout, remarks on stderr.
    pub(super) const fn plain() -> Self {
        Self { editor: None }
    }

    pub(super) const fn is_terminal(&self) -> bool {
        self.editor.is_some()
    }

    /// Shows what somebody posted.
    pub(super) fn message(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.editor {
            Some(editor) => editor.print(line),
            None => output::say(line),
        }
    }

    /// Shows what is no post.
    pub(super) fn remark(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.editor {
            Some(editor) => editor.print(&format!("-- {line}")),
            None => {
                output::complain(&format!("-- {line}"));
                Ok(())
            }
        }
    }
}

impl Editor {
    fn print(&mut self, line: &str) -> Result<(), Failure> {
        let printed = self.printer.print(format!("{line}\n"));
        printed.map_err(|e| Failure::from_stdio(&io::Error::other(e)))
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        // The thread may be in the middle of a line, with the terminal in its own mode.
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
