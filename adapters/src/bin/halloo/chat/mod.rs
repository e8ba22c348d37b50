//! `halloo chat`: a person, or a pipe, in a room.

mod command;
mod input;
mod screen;
mod session;

use std::time::Duration;

use halloo_std::client::{Device, From, Settings};

use super::EXIT_CODES;
use super::failure::Failure;
use input::Input;
use screen::Screen;
use session::Session;

/// Chat in a room: type a line to post it, and see what the others post
///
/// Your own posts are shown once the hub has them. A lost connection is made again, and nothing
/// that was acknowledged is lost or doubled. At a terminal, /help lists the commands.
///
/// With a pipe or a file as input, every line is posted; the command ends well once all are
/// acknowledged.
///
/// Examples:
///   halloo chat chat+tcp://127.0.0.1:7007 --room lab --name ann
///   date | halloo chat chat+unix:/run/halloo.sock --room lab --name clock
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// The hub: chat+tcp://HOST:PORT or chat+unix:PATH.
    url: String,
    /// The room: 1 to 32 of a-z 0-9 . _ -
    #[arg(long, short, value_name = "ROOM")]
    room: String,
    /// What the others call you: at most 32 bytes.
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// How many posts from before to show.
    #[arg(long, value_name = "N", default_value_t = 20)]
    history: u32,
    /// How long to wait for the hub: to connect, and for acknowledgements at the end, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
    /// Stay after the end of a piped input, and show what is posted.
    #[arg(long)]
    follow: bool,
    /// Take lines of a piped input that start with / for commands, as at a terminal.
    #[arg(long)]
    commands: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let patience = Duration::from_secs(args.timeout.max(1));
    let usual = Settings::new(&args.name);
    let settings = Settings {
        connect_timeout: patience.min(usual.connect_timeout),
        handshake_timeout: patience.min(usual.handshake_timeout),
        ..usual
    };
    let mut device = Device::connect(&args.url, settings)?;
    device.join_wait(&args.room, From::Last(args.history), patience)?;
    let (input, screen) = if input::is_terminal() {
        screen::editor()?
    } else {
        (Input::stdin()?, Screen::plain())
    };
    Session::new(args, device, input, screen).run(patience)
}
