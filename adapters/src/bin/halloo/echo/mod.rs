//! `halloo echo`: bytes to an echo server and back.

mod lines;
mod ping;

use std::time::Duration;

use halloo_std::socket::{Options, TcpStream, UdpSocket, UnixSeqpacket, UnixStream};
use halloo_std::url::{Endpoint, Protocol, Transport, UnixKind};

use super::EXIT_CODES;
use super::connect::open;
use super::failure::Failure;
use lines::Lines;
use ping::Run;

/// More than the largest message: Unix sockets take what their send buffer holds, 208 KiB on Linux.
const MAX_MESSAGE: usize = 1 << 18;

/// Send bytes to an echo server, check what comes back, and time it
///
/// Works like ping: it sends probes of its own and prints a line for each and a
/// summary. With --lines it works like cat: it sends what you type or pipe, line
/// by line, and prints what comes back. Both end badly if something is lost or
/// comes back changed.
///
/// Examples:
///   halloo echo echo+udp://127.0.0.1:7 --count 100 --size 200 --interval 10
///   halloo echo 'echo+tcp://127.0.0.1:8080?prefix=Echo: ' --lines
///   seq 1000 | halloo echo echo+unix:/run/echo.sock --lines
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// The server: echo+tcp://HOST:PORT, echo+udp://HOST:PORT or echo+unix:PATH, which is a stream
    /// without ?type=datagram or ?type=seqpacket; `echo+` may be left out. One that answers behind a
    /// prefix has ?prefix=TEXT
    url: String,
    /// Send the lines of the standard input instead of probes
    #[arg(long, short, conflicts_with_all = ["count", "size", "interval", "quiet"])]
    lines: bool,
    /// How many probes to send
    #[arg(long, short, value_name = "N", default_value_t = 10)]
    count: u32,
    /// The bytes of each probe
    #[arg(long, short, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// The time from one probe to the next; 0 sends as fast as answers come
    #[arg(long, short, value_name = "MS", default_value_t = 100)]
    interval: u64,
    /// How long to wait for an answer, and for the connection
    #[arg(long, short, value_name = "MS", default_value_t = 1000)]
    timeout: u64,
    /// Print the summary only
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let endpoint = Endpoint::parse(&args.url, Protocol::Echo)?;
    if endpoint.protocol != Protocol::Echo {
        let text = format!("{endpoint} is not echo: a good URL is `echo+tcp://127.0.0.1:7`");
        return Err(Failure::Start(text));
    }
    if endpoint.transport.is_line() {
        return Err(no_line());
    }
    let options = endpoint.socket_options(&Options {
        connect_timeout: Some(Duration::from_millis(args.timeout.max(1))),
        ..Options::default()
    });
    let tcp = |host: &str, port| Ok(TcpStream::connect((host, port), &options)?);
    let udp = |host: &str, port| Ok(UdpSocket::connect((host, port), &options)?);
    let kind = endpoint.options.kind.unwrap_or_default();
    let is_message = match endpoint.transport {
        Transport::Udp { .. } => true,
        Transport::Unix(_) => kind != UnixKind::Stream,
        _ => false,
    };
    let prefix = endpoint.options.prefix.clone().unwrap_or_default();
    if args.lines {
        let mut lines = Lines::new(args, is_message, prefix.as_bytes())?;
        return match (&endpoint.transport, kind) {
            (Transport::Tcp { host, port }, _) => lines.over(tcp(host, *port)?),
            (Transport::Udp { host, port }, _) => lines.over(udp(host, *port)?),
            (Transport::Unix(path), UnixKind::Stream) => {
                lines.over(UnixStream::connect(path, &options)?)
            }
            (Transport::Unix(path), UnixKind::Seqpacket) => {
                lines.over(UnixSeqpacket::connect(path, &options)?)
            }
            (Transport::Unix(path), UnixKind::Datagram) => {
                let (socket, file) = open::answerable(path, &options)?;
                open::goes_with_a_signal(file.path())?;
                lines.over(socket)
            }
            (Transport::CobsTcp { .. } | Transport::Serial(_), _) => Err(no_line()),
        };
    }
    let mut run = Run::new(args, is_message, prefix.as_bytes())?;
    let outcome = match (&endpoint.transport, kind) {
        (Transport::Tcp { host, port }, _) => run.over(|| tcp(host, *port)),
        (Transport::Udp { host, port }, _) => run.over(|| udp(host, *port)),
        (Transport::Unix(path), UnixKind::Stream) => {
            run.over(|| Ok(UnixStream::connect(path, &options)?))
        }
        (Transport::Unix(path), UnixKind::Seqpacket) => {
            run.over(|| Ok(UnixSeqpacket::connect(path, &options)?))
        }
        (Transport::Unix(path), UnixKind::Datagram) => {
            // The run ends by itself on a signal.
            let (socket, _file) = open::answerable(path, &options)?;
            run.over(|| Ok(socket.try_clone()?))
        }
        (Transport::CobsTcp { .. } | Transport::Serial(_), _) => Err(no_line()),
    };
    run.end(outcome)
}

fn no_line() -> Failure {
    Failure::Start("echo goes over tcp, udp and unix: a serial line carries chat alone".into())
}

/// The other end closed where echo does not.
fn closed() -> Failure {
    Failure::Lost("the server closed the connection: check that it speaks echo".into())
}
