//! Whom the bench compares: how each is found, started and spoken to.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dialect::{Bare, Dialect, Halloo, JetStream, Mqtt, Nats, Redis, RedisStream};
use crate::helper::HELP;
use crate::server::{Server, find, folder, free_port};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Halloo,
    Nats,
    Redis,
    Mosquitto,
    /// The limit: a loop that only writes.
    WriteOnly,
}

/// How a server is to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As it comes, in memory.
    Memory,
    /// Posts are kept on disk.
    Disk,
    /// In memory, on so many threads.
    Shards(usize),
    /// The limit alone: at most so many runs of posts in a write.
    Runs(usize),
}

/// A server that can be started.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

/// Our hub first, then what is installed, then the limit; says what is absent.
pub(crate) fn all() -> Vec<Peer> {
    let peer = |name: &str, kind, program| Peer {
        name: name.into(),
        kind,
        program,
    };
    let mut peers = vec![peer("halloo", Kind::Halloo, build_hub())];
    if let Some(program) = std::env::var_os("HALLOO_BENCH_OTHER") {
        peers.push(peer("halloo (other)", Kind::Halloo, program.into()));
    }
    let mut absent = Vec::new();
    for (program, variable, kind) in [
        ("nats-server", "HALLOO_BENCH_NATS", Kind::Nats),
        ("redis-server", "HALLOO_BENCH_REDIS", Kind::Redis),
        ("mosquitto", "HALLOO_BENCH_MOSQUITTO", Kind::Mosquitto),
    ] {
        let named = std::env::var_os(variable).map(PathBuf::from);
        match named.or_else(|| find(program)) {
            Some(path) => peers.push(peer(program, kind, path)),
            None => absent.push(program),
        }
    }
    if !absent.is_empty() {
        println!("not installed, so left out: {}", absent.join(", "));
    }
    peers.push(peer("write-only limit", Kind::WriteOnly, this_program()));
    if let Ok(chosen) = std::env::var("HALLOO_BENCH_PEERS") {
        let is_chosen = |name: &str| chosen.split(',').any(|chosen| chosen == name);
        peers.retain(|peer| match peer.kind {
            Kind::Halloo | Kind::WriteOnly => true,
            Kind::Nats | Kind::Redis | Kind::Mosquitto => is_chosen(&peer.name),
        });
    }
    for peer in &peers {
        if let Some(version) = peer.version() {
            println!("{}: {version}", peer.name);
        }
    }
    peers
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// The command `halloo`, built as this bench is.
fn build_hub() -> PathBuf {
    if let Some(path) = std::env::var_os("HALLOO_BENCH_HUB") {
        return path.into();
    }
    let this = this_program();
    let profile = this.ancestors().nth(2).expect("it lies in PROFILE/deps");
    let hub = profile.join("halloo");
    let Some(cargo) = std::env::var_os("CARGO") else {
        assert!(
            hub.is_file(),
            "no {}: run the bench by cargo",
            hub.display()
        );
        return hub;
    };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "halloo-std", "--bin", "halloo"]);
    if profile.ends_with("release") {
        command.arg("--release");
    }
    command
        .arg("--target-dir")
        .arg(profile.parent().expect("the target folder"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status().expect("cargo runs");
    assert!(status.success(), "the hub does not build");
    hub
}

/// An echo server: its name, and what starts it.
pub(crate) type Echo = (&'static str, Box<dyn Fn() -> Server>);

/// All echo servers, our hub's first.
pub(crate) fn echoes(peers: &[Peer]) -> Vec<Echo> {
    let hub = peers[0].program.clone();
    let serve = move || {
        let args = ["serve", "--listen", "echo+tcp://127.0.0.1:0"];
        Server::announced(folder(), &hub, &args)
    };
    let mut echoes: Vec<Echo> = vec![
        ("halloo", Box::new(serve)),
        ("bare epoll loop", helper("epoll")),
        ("tokio", helper("tokio")),
    ];
    if let Some(python) = python() {
        let start = move || Server::announced(folder(), &python, &["-c", include_str!("echo.py")]);
        echoes.push(("Python selectors", Box::new(start)));
    }
    echoes
}

/// The same that puts a prefix in front, and the non-blocking server of the tutorials.
pub(crate) fn tutorials(peers: &[Peer], prefix: &'static str) -> Vec<Echo> {
    let hub = peers[0].program.clone();
    let serve = move || {
        let url = format!("echo+tcp://127.0.0.1:0?prefix={prefix}");
        Server::announced(folder(), &hub, &["serve", "--listen", &url])
    };
    let mut servers: Vec<Echo> = vec![("halloo", Box::new(serve))];
    if prefix.is_empty() {
        servers.push(("bare epoll loop", helper("epoll")));
    }
    for (name, how) in [
        ("tutorial, select", "select"),
        ("tutorial, selectors", "selectors"),
        ("tutorial, select, with its prints", "prints"),
    ] {
        if let Some(python) = python()
            && (how != "prints" || !prefix.is_empty())
        {
            let args = ["-c", include_str!("tutorial.py"), how, prefix];
            let start = move || Server::announced(folder(), &python, &args);
            servers.push((name, Box::new(start)));
        }
    }
    servers
}

/// An echo server of this bench's own.
fn helper(name: &'static str) -> Box<dyn Fn() -> Server> {
    Box::new(move || Server::announced(folder(), &this_program(), &[HELP, name]))
}

fn python() -> Option<PathBuf> {
    let python = find("python3");
    if python.is_none() {
        println!("not installed, so left out: python3");
    }
    python
}

impl Peer {
    pub(crate) fn dialect(&self, mode: Mode) -> Box<dyn Dialect> {
        match (self.kind, mode) {
            (Kind::Halloo, _) => Box::new(Halloo),
            (Kind::Nats, Mode::Disk) => Box::new(JetStream),
            (Kind::Nats, _) => Box::new(Nats),
            (Kind::Redis, Mode::Disk) => Box::new(RedisStream),
            (Kind::Redis, _) => Box::new(Redis),
            (Kind::Mosquitto, Mode::Disk) => Box::new(Mqtt { qos: 1 }),
            (Kind::Mosquitto, _) => Box::new(Mqtt { qos: 0 }),
            (Kind::WriteOnly, _) => Box::new(Bare),
        }
    }

    /// What it does with a post on disk before it confirms it.
    pub(crate) fn durability(&self) -> &'static str {
        match self.kind {
            Kind::Halloo => "disk: synced before the ack",
            Kind::Nats if self.syncs() => "JetStream: synced before the ack",
            Kind::Nats => "JetStream: written, synced every 2 min",
            Kind::Redis => "stream, AOF: synced before the answer",
            Kind::Mosquitto => "QoS 1: in memory, saved every 30 min",
            Kind::WriteOnly => "none",
        }
    }

    /// Whether this is a nats-server that can sync each message (2.10 and later).
    fn syncs(&self) -> bool {
        let version = self.version().unwrap_or_default();
        let numbers = version.rsplit_once('v').map_or("", |(_, numbers)| numbers);
        let mut numbers = numbers.split('.').map(|part| part.parse().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= (2, 10)
    }

    fn version(&self) -> Option<String> {
        let arg = match self.kind {
            Kind::Nats | Kind::Redis => "--version",
            Kind::Mosquitto => "-h",
            Kind::Halloo | Kind::WriteOnly => return None,
        };
        let output = Command::new(&self.program).arg(arg).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().map(String::from)
    }

    /// Whether it can run on several threads.
    pub(crate) fn has_shards(&self) -> bool {
        let help = Command::new(&self.program)
            .args(["serve", "--help"])
            .output();
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--shards"))
    }

    /// Starts it with what its authors set, but for limits that would cut a member off.
    pub(crate) fn start(&self, mode: Mode) -> Server {
        let folder = folder();
        let files = folder.path().to_owned();
        let program = &self.program;
        match self.kind {
            Kind::Halloo => {
                let mut args: Vec<OsString> = vec!["serve".into(), "--listen".into()];
                args.push("chat+tcp://127.0.0.1:0".into());
                match mode {
                    Mode::Disk => args.extend(["--data".into(), files.join("data").into()]),
                    Mode::Shards(n) => args.extend(["--shards".into(), n.to_string().into()]),
                    Mode::Memory | Mode::Runs(_) => {}
                }
                Server::announced(folder, program, &args)
            }
            Kind::WriteOnly => {
                let most = match mode {
                    Mode::Runs(most) => most,
                    _ => 256,
                };
                Server::announced(folder, program, &[HELP, "write-only", &most.to_string()])
            }
            Kind::Nats => {
                let port = free_port();
                let mut text = format!("listen: 127.0.0.1:{port}\nmax_connections: 20000\n");
                if mode == Mode::Disk {
                    let sync = if self.syncs() {
                        "sync_interval: always"
                    } else {
                        ""
                    };
                    text += &format!(
                        "jetstream {{\nstore_dir: \"{}\"\n{sync}\n}}\n",
                        files.display()
                    );
                }
                let config = write(&files, "nats.conf", &text);
                Server::on_port(folder, program, &["-c".into(), config], port)
            }
            Kind::Redis => {
                let port = free_port();
                let aof = if mode == Mode::Disk { "yes" } else { "no" };
                let text = format!(
                    "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nmaxclients 15000\n\
                     appendonly {aof}\nappendfsync always\nauto-aof-rewrite-percentage 0\n\
                     client-output-buffer-limit pubsub 0 0 0\n",
                    files.display()
                );
                let config = write(&files, "redis.conf", &text);
                Server::on_port(folder, program, &[config], port)
            }
            Kind::Mosquitto => {
                let port = free_port();
                let persistence = mode == Mode::Disk;
                let text = format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
                     max_queued_messages 0\nuser root\nlog_type error\n\
                     persistence {persistence}\npersistence_location {}/\n",
                    files.display()
                );
                let config = write(&files, "mosquitto.conf", &text);
                Server::on_port(folder, program, &["-c".into(), config], port)
            }
        }
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("a file in the server's folder");
    path
}
