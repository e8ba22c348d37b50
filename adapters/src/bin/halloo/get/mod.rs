//! `halloo get`: one HTTP request, and its answer.

mod body;
mod head;
mod url;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use embedded_io::{Read, Write};
use halloo_std::socket::{Options, TcpStream};

use super::EXIT_CODES;
use super::failure::Failure;
use super::output::{Text, complain, harmless, put};
use body::{Body, Progress};
use head::{Head, Parsed};
use url::Url;

/// How many bytes are read at once.
const CHUNK: usize = 16 * 1024;

/// Fetch a page over HTTP, and print its body
///
/// Speaks HTTP/1.1 without encryption and follows no redirects, as the servers
/// on devices want it. The body ends as the server says: by its length, in
/// chunks, or with the connection; one that is cut off is exit code 5. An answer
/// from 400 up is printed, and is exit code 1.
///
/// Examples:
///   halloo get http://192.0.2.7/status
///   halloo get http://localhost:8080/metrics -i --timeout 2000
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// What to fetch: `http://HOST:PORT/PATH`; without a port 80, without a path /
    url: String,
    /// Print the status and the headers first
    #[arg(long, short)]
    include: bool,
    /// How long connecting may take
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    connect_timeout: u64,
    /// How long the server may be silent
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    read_timeout: u64,
    /// How long all of it may take [default: no limit]
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// The most bytes of status and headers
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024)]
    max_header: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let url = Url::parse(&args.url).map_err(|why| {
        Failure::Start(format!(
            "the URL {:?} {why}; a good one is `http://127.0.0.1:8080/status`",
            args.url
        ))
    })?;
    let mut exchange = Exchange::open(args, &url)?;
    exchange.send(&url.request())?;
    let head = exchange.head(args.max_header)?;
    if args.include {
        print_head(&head)?;
    }
    exchange.body(&head)?;
    if head.status >= 400 {
        let what_to_do = match head.status {
            404 | 410 => ": check the path",
            500.. => ": look at what the server logs",
            _ => "",
        };
        return Err(Failure::Job(format!(
            "the server answered {}{what_to_do}",
            head.title()
        )));
    }
    if let (300..400, Some(to)) = (head.status, head.header("location")) {
        complain(&format!(
            "it is at {}: redirects are not followed",
            harmless(to)
        ));
    }
    Ok(())
}

/// A connection, and what came over it and was not used yet.
struct Exchange {
    socket: TcpStream,
    bytes: Vec<u8>,
    silence: Duration,
    end: Option<Instant>,
}

impl Exchange {
    fn open(args: &Args, url: &Url) -> Result<Self, Failure> {
        let whole = args.timeout.map(Duration::from_millis);
        let end = whole.and_then(|span| Instant::now().checked_add(span));
        let connect = Duration::from_millis(args.connect_timeout.max(1));
        let options = Options {
            connect_timeout: Some(whole.map_or(connect, |whole| whole.min(connect))),
            ..Options::default()
        };
        Ok(Self {
            socket: TcpStream::connect((&*url.host, url.port), &options)?,
            bytes: Vec::new(),
            silence: Duration::from_millis(args.read_timeout.max(1)),
            end,
        })
    }

    /// How long the next call may wait.
    fn patience(&self) -> Result<Duration, Failure> {
        let Some(end) = self.end else {
            return Ok(self.silence);
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::TimedOut(
                "it was not done in time (--timeout)".into(),
            ));
        }
        Ok(left.min(self.silence))
    }

    fn send(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.socket.set_write_timeout(Some(self.patience()?))?;
        Ok(Write::write_all(&mut self.socket, request)?)
    }

    /// Reads once; whether there was something.
    fn read(&mut self) -> Result<bool, Failure> {
        self.socket.set_read_timeout(Some(self.patience()?))?;
        let mut chunk = vec![0; CHUNK];
        let n = Read::read(&mut self.socket, &mut chunk)?;
        self.bytes.extend_from_slice(&chunk[..n]);
        Ok(n > 0)
    }

    /// The status and the headers of the answer, past those that only say that it will come.
    fn head(&mut self, limit: usize) -> Result<Head, Failure> {
        // Those count, too: a server could send them for ever.
        let mut left = limit;
        loop {
            let seen = &self.bytes[..self.bytes.len().min(left)];
            match Head::parse(seen).map_err(no_http)? {
                Parsed::Whole { head, len } => {
                    self.bytes.drain(..len);
                    left -= len;
                    if head.status >= 200 {
                        return Ok(head);
                    }
                }
                Parsed::Partial if self.bytes.len() >= left => {
                    return Err(Failure::Lost(format!(
                        "the headers have more than {limit} bytes: allow more with --max-header"
                    )));
                }
                Parsed::Partial => {
                    if !self.read()? {
                        return Err(no_http("closed the connection before its headers ended"));
                    }
                }
            }
        }
    }

    fn body(&mut self, head: &Head) -> Result<(), Failure> {
        let mut body = Body::of(head).map_err(no_http)?;
        let mut printer = Printer::new();
        loop {
            let mut pieces = Vec::new();
            let progress = body.take(&mut self.bytes, &mut pieces).map_err(no_http)?;
            printer.print(&pieces)?;
            if progress == Progress::Done {
                return printer.end();
            }
            if !self.read()? {
                printer.end()?;
                let missing = body.missing();
                return missing.map_or(Ok(()), |what| {
                    Err(Failure::Lost(format!("the body was cut off: {what}")))
                });
            }
        }
    }
}

fn no_http(why: &str) -> Failure {
    Failure::Lost(format!("the server {why}: check that it speaks HTTP"))
}

fn print_head(head: &Head) -> Result<(), Failure> {
    let mut printer = Printer::new();
    printer.print(head.version_and_title().as_bytes())?;
    for (name, value) in &head.headers {
        printer.print(format!("\n{name}: ").as_bytes())?;
        printer.print(value)?;
    }
    printer.print(b"\n\n")
}

/// Bytes for a program as they are, and for a person with control characters escaped.
struct Printer {
    is_terminal: bool,
    text: Text,
}

impl Printer {
    fn new() -> Self {
        Self {
            is_terminal: io::stdout().is_terminal(),
            text: Text::new(true),
        }
    }

    fn print(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.is_terminal {
            return put(bytes);
        }
        put(self.text.take(bytes).as_bytes())
    }

    /// Leaves a terminal with its cursor at the beginning of a line.
    fn end(&mut self) -> Result<(), Failure> {
        put(self.text.end().as_bytes())
    }
}
