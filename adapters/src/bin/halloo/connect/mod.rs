//! `halloo connect`: a plain client, as nc is.

mod life;
pub(crate) mod open;
mod session;
mod show;
mod typed;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use halloo_std::socket::{Options, RfcommAddr};
use halloo_std::url::{Endpoint, Protocol, Transport, UnixKind};

use super::EXIT_CODES;
use super::failure::Failure;
use life::Life;
use session::Session;

/// Send what you type to a TCP, UDP, Unix or Bluetooth socket, and show what comes back
///
/// At a terminal each line that you type is sent with its newline, `quit` ends,
/// and what comes is shown with its control characters escaped. When input is
/// piped it is sent byte for byte, `quit` and all; when output is piped it gets
/// the bytes as they came, as with nc. Over UDP, and over Unix sockets with
/// ?type=datagram or ?type=seqpacket, each line is one message, and an empty line
/// is an empty datagram, without a newline.
///
/// The end of the input (Ctrl-D) closes the sending side alone; what the other
/// end still says is shown until it closes, too, or is silent for --idle. `quit`
/// does the same, and waits for at most a second of silence. When the other end
/// closes first, it is over at a terminal; piped input is still sent, until it
/// ends or pauses for --idle, here a second by default. Such a pause is exit code 5
/// if something was sent since that end.
///
/// Examples:
///   halloo connect tcp://127.0.0.1:12345
///   printf 'hello' | halloo connect tcp://localhost:8080
///   halloo connect udp://127.0.0.1:8081 --no-newline
///   halloo connect unix:/run/control.sock -v
///   halloo connect 'unix:/dev/log?type=datagram' --no-newline
///   halloo connect tcp://0.0.0.0:12345 --listen -v
///   halloo connect bluetooth://00:1A:7D:DA:71:13/1
///   echo '48 65 6c 6c 6f' | halloo connect tcp://127.0.0.1:65432 --hex
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where to: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH or bluetooth://DEVICE/CHANNEL; a
    /// protocol before it, such as `echo+`, is passed over, so that what `halloo serve` prints can
    /// be given here
    url: String,
    /// Lines are bytes in hex, such as `48 65 6c`, and what comes is shown so, 16 bytes a line
    #[arg(long, short = 'x', conflicts_with_all = ["crlf", "no_newline"])]
    hex: bool,
    /// Send a carriage return before each newline, as HTTP, SMTP and modems want it
    #[arg(long, short = 'C', conflicts_with = "no_newline")]
    crlf: bool,
    /// Send lines without their newline
    #[arg(long, short)]
    no_newline: bool,
    /// Take piped input as if it was typed: line by line, and `quit` ends
    #[arg(long, short)]
    interactive: bool,
    /// Wait there for one connection, in place of making one; --timeout limits the wait
    #[arg(long, short, conflicts_with = "bind")]
    listen: bool,
    /// Connect over TCP or UDP from this address of this machine, and this port if there is one
    #[arg(long, short, value_name = "ADDRESS", value_parser = source)]
    bind: Option<SocketAddr>,
    /// Tell the states of the socket on stderr, with its addresses
    #[arg(long, short)]
    verbose: bool,
    /// How long connecting may take
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    connect_timeout: u64,
    /// Give up when the other end says nothing for so long [default: never]
    #[arg(long, value_name = "MS")]
    read_timeout: Option<u64>,
    /// Give up when all of it takes so long [default: never]
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// After the end of the input, end well when nothing comes for so long, and after that of the
    /// other end when nothing more is piped for so long [default: 1000 over datagrams and Bluetooth,
    /// which have no end of one way, and 1000 after the other end's; never else]
    #[arg(long, value_name = "MS")]
    idle: Option<u64>,
}

/// Where to, or where to listen.
#[derive(Debug)]
enum Place {
    Url(Endpoint),
    Bluetooth(RfcommAddr),
}

impl Place {
    fn parse(url: &str) -> Result<Self, Failure> {
        let Some(place) = url.strip_prefix("bluetooth://") else {
            return Ok(Self::Url(Endpoint::parse(url, Protocol::Echo)?));
        };
        place.parse().map(Self::Bluetooth).map_err(|why| {
            Failure::Start(format!("the URL `{url}` names no Bluetooth channel: {why}"))
        })
    }

    /// Whether both ends are at addresses of hosts.
    const fn has_hosts(&self) -> bool {
        match self {
            Self::Url(endpoint) => !matches!(endpoint.transport, Transport::Unix(_)),
            Self::Bluetooth(_) => false,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let place = Place::parse(&args.url)?;
    if args.bind.is_some() && !place.has_hosts() {
        let text = "--bind is for tcp and udp: another kind of socket comes from no such address";
        return Err(Failure::Start(text.into()));
    }
    let limits = Limits::new(args);
    let connect_timeout = Duration::from_millis(args.connect_timeout.max(1));
    let base = Options {
        connect_timeout: Some(limits.within(connect_timeout)),
        source: args.bind,
        ..Options::default()
    };
    let mut life = Life::new(args.verbose);
    let outcome = match &place {
        Place::Url(endpoint) => {
            let options = endpoint.socket_options(&base);
            exchange(args, endpoint, &options, limits, &mut life)
        }
        Place::Bluetooth(address) if args.listen => {
            open::rfcomm_accepted(*address, &base, limits.left(), &mut life)
                .and_then(|socket| Session::new(args, limits, &mut life).over(socket))
        }
        Place::Bluetooth(address) => open::rfcomm(*address, &base, &mut life)
            .map_err(Failure::from)
            .and_then(|socket| Session::new(args, limits, &mut life).over(socket)),
    };
    life.closed();
    outcome
}

fn exchange(
    args: &Args,
    endpoint: &Endpoint,
    options: &Options,
    limits: Limits,
    life: &mut Life,
) -> Result<(), Failure> {
    let kind = endpoint.options.kind.unwrap_or_default();
    let patience = limits.left();
    match (&endpoint.transport, args.listen) {
        (Transport::Tcp { host, port }, false) => {
            let socket = open::tcp(host, *port, options, life)?;
            Session::new(args, limits, life).over(socket)
        }
        (Transport::Tcp { host, port }, true) => {
            let socket = open::tcp_accepted(host, *port, options, patience, life)?;
            Session::new(args, limits, life).over(socket)
        }
        (Transport::Udp { host, port }, false) => {
            let socket = open::udp(host, *port, options, life)?;
            Session::new(args, limits, life).over(socket)
        }
        (Transport::Unix(path), is_listening) => match (kind, is_listening) {
            (UnixKind::Stream, false) => {
                let socket = open::unix(path, options, life)?;
                Session::new(args, limits, life).over(socket)
            }
            (UnixKind::Stream, true) => {
                let socket = open::unix_accepted(path, options, patience, life)?;
                Session::new(args, limits, life).over(socket)
            }
            (UnixKind::Seqpacket, false) => {
                let socket = open::seqpacket(path, options, life)?;
                Session::new(args, limits, life).over(socket)
            }
            (UnixKind::Seqpacket, true) => {
                let socket = open::seqpacket_accepted(path, options, patience, life)?;
                Session::new(args, limits, life).over(socket)
            }
            (UnixKind::Datagram, false) => {
                let (socket, _file) = open::unix_datagram(path, options, life)?;
                Session::new(args, limits, life).over(socket)
            }
            (UnixKind::Datagram, true) => Err(no_connection()),
        },
        (Transport::Udp { .. }, true) => Err(no_connection()),
        (Transport::CobsTcp { .. } | Transport::Serial(_), _) => Err(Failure::Start(
            "a serial line carries chat alone: connect goes over tcp, udp, unix and bluetooth"
                .into(),
        )),
    }
}

fn no_connection() -> Failure {
    let text = "datagrams make no connection to listen for: answer them with `halloo serve`";
    Failure::Start(text.into())
}

/// `ADDRESS` or `ADDRESS:PORT`.
fn source(text: &str) -> Result<SocketAddr, &'static str> {
    let host = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = host
        .unwrap_or(text)
        .parse()
        .map(|ip: IpAddr| (ip, 0).into());
    ip.or_else(|_| text.parse())
        .map_err(|_| "a good one is 192.0.2.1, 192.0.2.1:5000, ::1 or [::1]:5000")
}

/// The time-outs of a session; `None` waits.
#[derive(Debug, Clone, Copy)]
struct Limits {
    read: Option<Duration>,
    idle: Option<Duration>,
    /// When all must be over.
    end: Option<Instant>,
}

impl Limits {
    fn new(args: &Args) -> Self {
        let millis = |ms: Option<u64>| ms.map(Duration::from_millis);
        let whole = millis(args.timeout);
        Self {
            read: millis(args.read_timeout),
            idle: millis(args.idle),
            end: whole.and_then(|span| Instant::now().checked_add(span)),
        }
    }

    /// `span`, or what is left of the whole if that is less.
    fn within(&self, span: Duration) -> Duration {
        self.left().map_or(span, |left| left.min(span))
    }

    /// What is left of the whole.
    fn left(&self) -> Option<Duration> {
        let end = self.end?;
        Some(end.saturating_duration_since(Instant::now()))
    }
}
