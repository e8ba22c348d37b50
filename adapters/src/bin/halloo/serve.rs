//! `halloo serve`: a hub until it is told to stop.

use std::path::PathBuf;
use std::time::Instant;

use halloo_core::chat::hub::RoomPattern;
use halloo_core::chat::log::IndexSlot;
use halloo_core::name::NameError;
use halloo_std::hub::{HubConfig, HubError, Server, Summary, signals};
use halloo_std::url::{Endpoint, Transport, UrlError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::config::Config;
use super::data::DataArgs;
use super::failure::Failure;
use super::{EXIT_CODES, output};

/// Where a hub listens that is told nothing.
const DEFAULT_LISTENER: &str = "chat+tcp://127.0.0.1:7007";

/// Files that a hub needs beside its connections.
const SPARE_FILES: u64 = 64;

/// More than a connection or a member takes in the hub's tables.
const PER_MEMBER: usize = 512;

/// Serve rooms and echo until SIGINT or SIGTERM
///
/// Prints one line for each listener, with the address that it really has,
/// once all are ready. On SIGINT or SIGTERM it tells its members and ends well;
/// a second signal ends it at once.
///
/// The rooms are kept in memory: at most --max-rooms times --room-bytes, used
/// as posts come. With --data all posts are kept on disk too, and are there
/// again after a restart or a crash; a post is acknowledged once it is synced.
///
/// What may follow a URL and a question mark, joined by & (in TEXT, %26 is an &,
/// %25 a percent sign and %0A a newline; a space stands for itself):
///   ?prefix=TEXT     echo: what stands before the bytes that come back
///   ?text=TEXT       greet: the greeting
///   ?guard=off       echo and greet over udp: answer everything, though answers
///                    could go round between two servers for ever
///   ?type=datagram   echo and greet over unix: or seqpacket [default: stream]
///   ?mode=660        unix: the permissions of the socket file
///   ?backlog=N       tcp, unix: how many connections may wait to be accepted
///   ?nodelay=off     tcp: let the system wait for more to send
///   ?keepalive=N     tcp: ask a peer that is silent for N seconds if it is there
///   ?v6only=on       tcp, udp: IPv6 alone, where all addresses are listened at
///   ?baud=N          serial lines: their rate
///   ?connect         cobs+tcp: connect to a serial server, in place of listening
///
/// Examples:
///   halloo serve --listen 'echo+tcp://127.0.0.1:8080?prefix=Echo: '
///   halloo serve --listen 'greet+udp://127.0.0.1:8081?text=Hello'
///   halloo serve --listen chat+tcp://0.0.0.0:7007 --listen chat+udp://0.0.0.0:7007
///   halloo serve --listen 'chat+unix:/run/halloo.sock?mode=660' --max-rooms 64
///   halloo serve --data /var/lib/halloo --keep-for 30d
///   halloo serve --latest 'telemetry.*'
///   halloo serve --listen 'chat+serial:/dev/ttyUSB0?baud=115200'
///   halloo serve --listen chat+cobs+tcp://127.0.0.1:7070
///   halloo serve --listen chat+tcp://0.0.0.0:7007 --listen json+tcp://0.0.0.0:8083
///   halloo serve --config adapters/examples/tutorials.toml
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// Take from this TOML file what no flag says: the keys are the flags without their dashes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to speak, and where to listen: chat, echo or greet, over tcp, udp or unix; json, which is
    /// the rooms for clients that send bare JSON objects, over tcp or unix; chat also over
    /// a serial line: serial:, or cobs+tcp:// for one that comes over TCP. May be given several
    /// times; port 0 takes a free port
    /// [default: chat+tcp://127.0.0.1:7007]
    #[arg(long, value_name = "URL")]
    listen: Vec<String>,
    /// The most connections at the same time [default: 16384]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// The most rooms [default: 4096]
    #[arg(long, value_name = "N")]
    max_rooms: Option<usize>,
    /// The most pairs of device and room that are remembered [default: 32768]
    #[arg(long, value_name = "N")]
    max_members: Option<usize>,
    /// The largest body of a post, in bytes [default: 1024]
    #[arg(long, value_name = "BYTES")]
    max_body: Option<u16>,
    /// How many bytes of posts each room keeps in memory [default: 65536]
    #[arg(long, value_name = "BYTES")]
    room_bytes: Option<usize>,
    /// How many posts each room keeps in memory; rounded to a power of two [default: 1024]
    #[arg(long, value_name = "N")]
    room_posts: Option<usize>,
    /// In rooms of this name, or of names that begin so if `*` follows, a member that lags jumps to
    /// the newest post and is told the gap: for telemetry. May be given several times
    #[arg(long, value_name = "ROOM", value_parser = pattern)]
    latest: Vec<String>,
    /// How many threads read and write the sockets of chat over tcp and unix; one of them also
    /// serves the rooms and everything else [default: 1]
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let said = match &args.config {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let endpoints = args.endpoints(&said)?;
    let config = args.hub_config(&said)?;
    check_memory(&config).map_err(|(keys, text)| args.blame_first(&keys, text, &said))?;
    allow_files(config.max_connections);
    let start = Instant::now();
    let shutdown =
        signals().map_err(|e| Failure::Start(format!("signals cannot be waited for: {e}")))?;
    let server = Server::bind(&endpoints, config).map_err(|error| args.blame(error, &said))?;
    for endpoint in server.endpoints() {
        match output::say(&format!("listening on {endpoint}")) {
            // A hub serves on, whether or not somebody reads what it printed.
            Ok(()) | Err(Failure::NoReader) => {}
            Err(failure) => return Err(failure),
        }
    }
    let summary = server.run(&shutdown).map_err(|error| match error {
        // It had started: its members were told, and no post was acknowledged that is not kept.
        HubError::Journal(cause) => Failure::Job(cause.to_string()),
        other => other.into(),
    })?;
    output::complain(&describe(&summary, start));
    Ok(())
}

impl Args {
    fn endpoints(&self, said: &Config) -> Result<Vec<Endpoint>, Failure> {
        match (self.listen.is_empty(), &said.listen) {
            (true, Some(listen)) => Ok(listen.clone()),
            (true, None) => Ok(vec![DEFAULT_LISTENER.parse()?]),
            (false, _) => {
                let parsed: Result<Vec<Endpoint>, UrlError> =
                    self.listen.iter().map(|url| url.parse()).collect();
                let listen = parsed?;
                match same_place(&listen) {
                    Some((_, text)) => Err(Failure::Start(text)),
                    None => Ok(listen),
                }
            }
        }
    }

    /// What a flag says, or else the file, or else what is usual.
    fn hub_config(&self, said: &Config) -> Result<HubConfig, Failure> {
        let file = &said.file;
        let data = self.data.or(file).data().map_err(|(key, text)| {
            let failure = Failure::Start(text);
            // The file is to blame if the flags are right without it.
            match self.data.data() {
                Ok(_) => said.blame(key, failure),
                Err(_) => failure,
            }
        });
        let usual = HubConfig::default();
        let or = |flag: Option<usize>, file: Option<usize>, usual| flag.or(file).unwrap_or(usual);
        let patterns = file.latest.iter().flatten().map(|room| room.0.clone());
        Ok(HubConfig {
            max_connections: or(
                self.max_connections,
                file.max_connections,
                usual.max_connections,
            ),
            rooms: or(self.max_rooms, file.max_rooms, usual.rooms),
            members: or(self.max_members, file.max_members, usual.members),
            max_body: self.max_body.or(file.max_body).unwrap_or(usual.max_body),
            log_bytes: or(self.room_bytes, file.room_bytes, usual.log_bytes),
            log_entries: or(self.room_posts, file.room_posts, usual.log_entries),
            latest: if self.latest.is_empty() {
                patterns.collect()
            } else {
                self.latest.clone()
            },
            shards: or(self.shards, file.shards, usual.shards),
            data: data?,
            ..usual
        })
    }

    /// What is wrong with one of these keys: with the first that the file has, and no flag says.
    fn blame_first(&self, keys: &[&'static str], text: String, said: &Config) -> Failure {
        let by_flag = |key| match key {
            "max-rooms" => self.max_rooms.is_some(),
            "room-bytes" => self.room_bytes.is_some(),
            "room-posts" => self.room_posts.is_some(),
            "max-members" => self.max_members.is_some(),
            _ => self.max_connections.is_some(),
        };
        let key = keys.iter().find(|&&key| said.has(key) && !by_flag(key));
        match key {
            Some(key) => said.blame(key, Failure::Start(text)),
            None => Failure::Start(text),
        }
    }

    /// Why the hub does not start; what a flag said is not the file's fault.
    fn blame(&self, error: HubError, said: &Config) -> Failure {
        let (key, by_flag) = match &error {
            HubError::Config { what, .. } => match *what {
                "max_connections" => ("max-connections", self.max_connections.is_some()),
                "rooms" => ("max-rooms", self.max_rooms.is_some()),
                "members" => ("max-members", self.max_members.is_some()),
                "log_bytes" => ("room-bytes", self.room_bytes.is_some()),
                "log_entries" => ("room-posts", self.room_posts.is_some()),
                "shards" => ("shards", self.shards.is_some()),
                _ => return error.into(),
            },
            HubError::Socket(_) | HubError::NotServed { .. } | HubError::NoListener => {
                ("listen", !self.listen.is_empty())
            }
            HubError::Journal(_) => ("data", self.data.data.is_some()),
            _ => return error.into(),
        };
        if by_flag {
            error.into()
        } else {
            said.blame(key, error.into())
        }
    }
}

/// The number of a listener that would be where one before it is, and what to say of it.
pub(crate) fn same_place(listen: &[Endpoint]) -> Option<(usize, String)> {
    let takes_any = |endpoint: &Endpoint| match endpoint.transport {
        Transport::Tcp { port, .. } | Transport::Udp { port, .. } => port == 0,
        Transport::CobsTcp { port, .. } => port == 0 || endpoint.options.connect == Some(true),
        Transport::Unix(_) | Transport::Serial(_) => false,
    };
    listen.iter().enumerate().find_map(|(nth, endpoint)| {
        let same = |other: &&Endpoint| other.transport == endpoint.transport;
        let other = listen.iter().take(nth).find(same)?;
        let text = format!("{endpoint} is where {other} is: leave one of them out");
        (!takes_any(endpoint)).then_some((nth, text))
    })
}

pub(crate) fn pattern(text: &str) -> Result<String, NameError> {
    RoomPattern::new(text).map(|_| text.to_owned())
}

/// What the machine does not have is told before it is taken: with the keys that ask for most of it.
fn check_memory(config: &HubConfig) -> Result<(), (Vec<&'static str>, String)> {
    let per_post = size_of::<IndexSlot>();
    let per_room = config
        .log_bytes
        .saturating_add(config.log_entries.saturating_mul(per_post));
    let uses = [
        (
            config.rooms,
            per_room,
            "rooms",
            &["max-rooms", "room-bytes", "room-posts"][..],
        ),
        (config.members, PER_MEMBER, "members", &["max-members"]),
        (
            config.max_connections,
            PER_MEMBER,
            "connections",
            &["max-connections"],
        ),
    ];
    let all = uses.iter().fold(0, |sum: usize, (many, each, ..)| {
        sum.saturating_add(many.saturating_mul(*each))
    });
    let mut attempt: Vec<u8> = Vec::new();
    let most = uses
        .iter()
        .max_by_key(|(many, each, ..)| many.saturating_mul(*each));
    match (attempt.try_reserve_exact(all), most) {
        (Err(_), Some((many, each, what, keys))) => {
            let options: Vec<String> = keys.iter().map(|key| format!("--{key}")).collect();
            let text = format!(
                "{each} bytes for each of {many} {what} are more than this machine has: lower {}",
                options.join(" or ")
            );
            Err((keys.to_vec(), text))
        }
        _ => Ok(()),
    }
}

fn describe(summary: &Summary, start: Instant) -> String {
    let stats = &summary.stats;
    let many = |number: u64, one, many| {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        output::count(number, one, many)
    };
    format!(
        "stopped after {} s: {}, {} kept, {} delivered, {}, {} cut off",
        start.elapsed().as_secs(),
        many(stats.accepted, "connection", "connections"),
        many(stats.chat.posts, "post", "posts"),
        many(stats.chat.delivered, "entry", "entries"),
        many(stats.echoed, "echo", "echoes"),
        summary.cut_off,
    )
}

/// Raises the limit of open files as far as this user may and the connections need.
fn allow_files(connections: usize) {
    let wanted = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(SPARE_FILES);
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|now| now >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: Some(wanted.min(most)),
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    } else if most < wanted {
        tracing::warn!(
            most,
            "fewer files may be open than connections were asked for"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};
    use halloo_std::url::UrlProblem;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_help_tells_every_option_of_a_url() {
        let help = Command::command().render_long_help().to_string();
        for url in [
            "echo+tcp://h:1",
            "greet+udp://h:1",
            "echo+unix:/s",
            "chat+cobs+tcp://h:1",
            "chat+serial:/s",
        ] {
            let error = format!("{url}?none").parse::<Endpoint>().unwrap_err();
            let UrlProblem::UnknownOption { known, .. } = error.problem else {
                panic!("{error}");
            };
            for option in known.split(", ") {
                assert!(help.contains(&format!("\n  ?{option}")), "{option}");
            }
        }
    }

    #[test]
    fn the_help_tells_the_defaults() {
        let help = Command::command().render_long_help().to_string();
        let flags = [
            "--max-c", "--max-r", "--max-m", "--max-b", "--room-b", "--room-p", "--sh",
        ];
        let args = Command::parse_from(["x"]).args;
        let config = args.hub_config(&Config::default()).unwrap();
        let numbers = [
            config.max_connections,
            config.rooms,
            config.members,
            config.max_body.into(),
            config.log_bytes,
            config.log_entries,
            config.shards,
        ];
        for (flag, number) in flags.iter().zip(numbers) {
            let (_, text) = help.split_once(&format!("\n      {flag}")).unwrap();
            let (text, _) = text.split_once("\n\n      --").unwrap_or((text, ""));
            assert!(
                text.contains(&format!("[default: {number}]")),
                "{flag}: {text}"
            );
        }
        let [listener] = &*args.endpoints(&Config::default()).unwrap() else {
            panic!("not one listener");
        };
        assert!(help.contains(&format!("[default: {listener}]")));
    }
}
