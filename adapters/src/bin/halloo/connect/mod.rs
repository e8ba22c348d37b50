//! `halloo connect`: a plain client, as nc is.

mod life;
mod session;
mod show;
mod typed;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use halloo_std::socket::{Options, SocketError, TcpConnect, TcpStream, UdpSocket, UnixStream};
use halloo_std::url::{Endpoint, Protocol, Transport};

use super::EXIT_CODES;
use super::failure::Failure;
use life::Life;
use session::Session;

/// Send what you type to a TCP, UDP or Unix socket, and show what comes back
///
/// At a terminal each line that you type is sent with its newline, `quit` ends,
/// and what comes is shown with its control characters escaped. When input is
/// piped it is sent byte for byte, `quit` and all; when output is piped it gets
/// the bytes as they came, as with nc. Over UDP each line is one datagram.
///
/// The end of the input (Ctrl-D) closes the sending side alone; what the other
/// end still says is shown until it closes, too, or is silent for --idle.
///
/// Examples:
///   halloo connect tcp://127.0.0.1:12345
///   printf 'hello' | halloo connect tcp://localhost:8080
///   halloo connect udp://127.0.0.1:8081 --no-newline
///   halloo connect unix:/run/control.sock -v
///   echo '48 65 6c 6c 6f' | halloo connect tcp://127.0.0.1:65432 --hex
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// Where to: tcp://HOST:PORT, udp://HOST:PORT or unix:PATH; a protocol before it, such as
    /// `echo+`, is passed over, so that what `halloo serve` prints can be given here
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
    /// After the end of the input, end well when nothing comes for so long
    /// [default: 1000 over UDP, which has no end; never else]
    #[arg(long, value_name = "MS")]
    idle: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let endpoint = Endpoint::parse(&args.url, Protocol::Echo)?;
    let limits = Limits::new(args);
    let connect_timeout = Duration::from_millis(args.connect_timeout.max(1));
    let options = endpoint.socket_options(&Options {
        connect_timeout: Some(limits.within(connect_timeout)),
        ..Options::default()
    });
    let mut life = Life::new(args.verbose);
    let outcome = match &endpoint.transport {
        Transport::Tcp { host, port } => tcp(host, *port, &options, &mut life)
            .map_err(Failure::from)
            .and_then(|socket| Session::new(args, limits, &mut life)?.over(socket)),
        Transport::Udp { host, port } => udp(host, *port, &options, &mut life)
            .map_err(Failure::from)
            .and_then(|socket| Session::new(args, limits, &mut life)?.over(socket)),
        Transport::Unix(path) => unix(path, &options, &mut life)
            .map_err(Failure::from)
            .and_then(|socket| Session::new(args, limits, &mut life)?.over(socket)),
        Transport::CobsTcp { .. } | Transport::Serial(_) => {
            let text = "a serial line carries chat alone: connect goes over tcp, udp and unix";
            return Err(Failure::Start(text.into()));
        }
    };
    life.closed();
    outcome
}

fn tcp(
    host: &str,
    port: u16,
    options: &Options,
    life: &mut Life,
) -> Result<TcpStream, SocketError> {
    let mut connecting = TcpConnect::start((host, port), options)?;
    life.connecting(connecting.local_addr()?, connecting.peer_addr());
    loop {
        let tried = connecting.peer_addr();
        if let Some(stream) = connecting.poll()? {
            if stream.peer_addr()? != tried {
                life.connecting(stream.local_addr()?, stream.peer_addr()?);
            }
            life.established(&stream.local_addr()?, &stream.peer_addr()?);
            return Ok(stream);
        }
        if connecting.peer_addr() != tried {
            life.connecting(connecting.local_addr()?, connecting.peer_addr());
        }
        let waited = connecting.wait(Duration::from_secs(1));
        waited.map_err(|e| SocketError::from_io(host, e))?;
    }
}

fn udp(
    host: &str,
    port: u16,
    options: &Options,
    life: &mut Life,
) -> Result<UdpSocket, SocketError> {
    let socket = UdpSocket::connect((host, port), options)?;
    life.datagrams(socket.local_addr()?, socket.peer_addr()?);
    Ok(socket)
}

fn unix(path: &PathBuf, options: &Options, life: &mut Life) -> Result<UnixStream, SocketError> {
    life.connecting_unix(path);
    let stream = UnixStream::connect(path, options)?;
    life.established(&"no path of its own", &path.display());
    Ok(stream)
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
        let left = self
            .end
            .map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(span, |left| left.min(span))
    }
}
