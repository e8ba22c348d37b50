//! `halloo serve`: a hub until it is told to stop.

use std::time::Instant;

use halloo_core::chat::hub::RoomPattern;
use halloo_core::chat::log::IndexSlot;
use halloo_core::name::NameError;
use halloo_std::hub::{HubConfig, HubError, Server, Summary, signals};
use halloo_std::url::{Endpoint, UrlError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::data::DataArgs;
use super::failure::Failure;
use super::{EXIT_CODES, output};

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
/// Examples:
///   halloo serve --listen chat+tcp://0.0.0.0:7007 --listen chat+udp://0.0.0.0:7007
///   halloo serve --listen 'chat+unix:/run/halloo.sock?mode=660' --max-rooms 64
///   halloo serve --data /var/lib/halloo --keep-for 30d
///   halloo serve --latest 'telemetry.*'
///   halloo serve --listen 'chat+serial:/dev/ttyUSB0?baud=115200'
///   halloo serve --listen chat+cobs+tcp://127.0.0.1:7070
///   halloo serve --listen chat+tcp://0.0.0.0:7007 --listen json+tcp://0.0.0.0:8083
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// What to speak, and where to listen: chat, echo or greet, over tcp, udp or unix; json, which is
    /// the rooms for clients that send bare JSON objects, over tcp or unix; chat also over
    /// a serial line: serial:, or cobs+tcp:// for one that comes over TCP (with ?connect the hub
    /// connects to a serial server). May be given several times; port 0 takes a free port
    #[arg(long, value_name = "URL", default_value = "chat+tcp://127.0.0.1:7007")]
    listen: Vec<String>,
    /// The most connections at the same time
    #[arg(long, value_name = "N", default_value_t = HubConfig::default().max_connections)]
    max_connections: usize,
    /// The most rooms
    #[arg(long, value_name = "N", default_value_t = HubConfig::default().rooms)]
    max_rooms: usize,
    /// The most pairs of device and room that are remembered
    #[arg(long, value_name = "N", default_value_t = HubConfig::default().members)]
    max_members: usize,
    /// The largest body of a post, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = HubConfig::default().max_body)]
    max_body: u16,
    /// How many bytes of posts each room keeps in memory
    #[arg(long, value_name = "BYTES", default_value_t = HubConfig::default().log_bytes)]
    room_bytes: usize,
    /// How many posts each room keeps in memory; rounded to a power of two
    #[arg(long, value_name = "N", default_value_t = HubConfig::default().log_entries)]
    room_posts: usize,
    /// In rooms of this name, or of names that begin so if `*` follows, a member that lags jumps to
    /// the newest post and is told the gap: for telemetry. May be given several times
    #[arg(long, value_name = "ROOM", value_parser = pattern)]
    latest: Vec<String>,
    /// How many threads read and write the sockets of chat over tcp and unix; one of them also
    /// serves the rooms and everything else
    #[arg(long, value_name = "N", default_value_t = HubConfig::default().shards)]
    shards: usize,
    #[command(flatten)]
    data: DataArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let endpoints: Result<Vec<Endpoint>, UrlError> =
        args.listen.iter().map(|url| url.parse()).collect();
    let config = HubConfig {
        max_connections: args.max_connections,
        rooms: args.max_rooms,
        members: args.max_members,
        max_body: args.max_body,
        log_bytes: args.room_bytes,
        log_entries: args.room_posts,
        latest: args.latest.clone(),
        shards: args.shards,
        data: args.data.data()?,
        ..HubConfig::default()
    };
    let endpoints = endpoints?;
    check_memory(&config)?;
    allow_files(args.max_connections);
    let start = Instant::now();
    let shutdown =
        signals().map_err(|e| Failure::Start(format!("signals cannot be waited for: {e}")))?;
    let server = Server::bind(&endpoints, config)?;
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

fn pattern(text: &str) -> Result<String, NameError> {
    RoomPattern::new(text).map(|_| text.to_owned())
}

/// What the machine does not have is told before it is taken.
fn check_memory(config: &HubConfig) -> Result<(), Failure> {
    let per_post = size_of::<IndexSlot>();
    let per_room = config
        .log_bytes
        .saturating_add(config.log_entries.saturating_mul(per_post));
    let small = config.max_connections.saturating_add(config.members);
    let bytes = config.rooms.saturating_mul(per_room);
    let bytes = bytes.saturating_add(small.saturating_mul(PER_MEMBER));
    let mut attempt: Vec<u8> = Vec::new();
    attempt.try_reserve_exact(bytes).map_err(|_| {
        Failure::Start(format!(
            "{per_room} bytes for each of {} rooms are more than this machine has: lower \
             --max-rooms, --room-bytes or --room-posts",
            config.rooms
        ))
    })
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
