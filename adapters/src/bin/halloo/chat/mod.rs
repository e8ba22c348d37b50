//! `halloo chat`: a person, or a pipe, in a room.

mod command;
mod json;
mod ledger;
mod near;
mod screen;
mod session;
mod show;
mod signals;

use std::time::Duration;

use halloo_core::name;
use halloo_std::client::{ClientError, Device, From, JoinError, MAX_BODY, Settings};
use halloo_std::url::{Endpoint, Protocol};

use super::EXIT_CODES;
use super::failure::Failure;
use near::{Near, Ways};
use session::Session;

/// The longest line that is looked at: a post, and the carriage return that is dropped.
const MAX_LINE: usize = MAX_BODY + 1;

/// The longest wait between two attempts to connect: a person sits there.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What is shown of the past.
const HISTORY: u32 = 20;

/// Chat in a room: type a line to post it, and see what the others post
///
/// Your own posts are shown, with a tick, once the hub has them. A lost
/// connection is made again, and nothing that was acknowledged is lost or
/// doubled. At a terminal, /help lists the commands; Ctrl-D or Ctrl-C ends.
///
/// With a pipe or a file as input, every line is posted; the command ends well
/// once all are acknowledged, and only then.
///
/// json+tcp:// and json+unix: speak the JSON of socket tutorials, to our hub or
/// to a server of your own. That dialect has no acknowledgements: your lines are
/// shown when they are sent, and a pipe ends well when the server has read all
/// of them, closed, and told of no error; whether anybody got them it does not
/// say. Nothing can be resumed either: a connection that is lost ends the chat.
/// A server other than our hub gets a line every 0.1 s at most, since such servers
/// take what one recv gives them for one object, and often no more than 1,024
/// bytes of it.
///
/// Examples:
///   halloo chat chat+tcp://127.0.0.1:7007 --room lab --name ann
///   date | halloo chat chat+unix:/run/halloo.sock --room lab --name clock
///   halloo chat json+tcp://127.0.0.1:8083 --room lab --name ann
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// The hub: chat+tcp://HOST:PORT, chat+udp://HOST:PORT or chat+unix:PATH; over a serial line
    /// chat+serial:DEVICE?baud=N or chat+cobs+tcp://HOST:PORT; a server that speaks the tutorial's
    /// JSON: json+tcp://HOST:PORT or json+unix:PATH
    url: String,
    /// The room: 1 to 32 of a-z 0-9 . _ -
    #[arg(long, short, value_name = "ROOM")]
    room: String,
    /// What the others call you: 1 to 32 bytes
    #[arg(long, short, value_name = "NAME")]
    name: String,
    /// How many posts from before to show [default: 20, and 0 where a pipe is posted or JSON is spoken]
    #[arg(long, value_name = "N")]
    history: Option<u32>,
    /// How long to wait for the hub: to connect, and to acknowledge what a pipe posts
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u32,
    /// Stay after the end of a piped input, and show what is posted
    #[arg(long)]
    follow: bool,
    /// Take lines of a piped input that start with / for commands, as at a terminal
    #[arg(long)]
    commands: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if let Ok(endpoint) = args.url.parse::<Endpoint>()
        && endpoint.protocol == Protocol::Json
    {
        return json::run(args, &endpoint);
    }
    check_names(args)?;
    let ways = Ways::new(args);
    let usual = Settings::new(&args.name);
    let settings = Settings {
        connect_timeout: ways.patience.min(usual.connect_timeout),
        handshake_timeout: ways.patience.min(usual.handshake_timeout),
        longest_wait: LONGEST_WAIT,
        ..usual
    };
    let unread = if ways.is_person || args.follow {
        HISTORY
    } else {
        0
    };
    let history = args.history.unwrap_or(unread);
    let mut device = Device::connect(&args.url, settings)?;
    device.join_wait(&args.room, From::Last(history), ways.patience)?;
    let near = Near::new(ways, Some(&args.room))?;
    Session::new(args, near, device, history).run()
}

/// Names that cannot be are told before anything is connected.
fn check_names(args: &Args) -> Result<(), Failure> {
    let member = name::member(args.name.as_bytes());
    member.map_err(|source| ClientError::Name {
        name: args.name.clone(),
        source,
    })?;
    let room = name::room(args.room.as_bytes());
    room.map_err(|source| ClientError::Join {
        room: args.room.clone(),
        source: JoinError::Name(source),
    })?;
    Ok(())
}
