//! Whom the bench compares: how each is found, started and spoken to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::dialect::{Bare, Dialect, Halloo, Mqtt, Nats, Redis};
use crate::helper::HELP;
use crate::server::{Server, find, folder, free_port};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Halloo,
    Nats,
    Redis,
    Mosquitto,
    WriteOnly,
}

/// A server that can be started.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    program: PathBuf,
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
    for (program, kind) in [
        ("nats-server", Kind::Nats),
        ("redis-server", Kind::Redis),
        ("mosquitto", Kind::Mosquitto),
    ] {
        match find(program) {
            Some(path) => peers.push(peer(program, kind, path)),
            None => absent.push(program),
        }
    }
    if !absent.is_empty() {
        println!("not installed, so left out: {}", absent.join(", "));
    }
    let this = std::env::current_exe().expect("this program");
    peers.push(peer("write-only limit", Kind::WriteOnly, this));
    peers
}

/// The command `halloo`, built as this bench is.
fn build_hub() -> PathBuf {
    if let Some(path) = std::env::var_os("HALLOO_BENCH_HUB") {
        return path.into();
    }
    let this = std::env::current_exe().expect("this program");
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

impl Peer {
    pub(crate) fn dialect(&self) -> Box<dyn Dialect> {
        match self.kind {
            Kind::Halloo => Box::new(Halloo),
            Kind::Nats => Box::new(Nats),
            Kind::Redis => Box::new(Redis),
            Kind::Mosquitto => Box::new(Mqtt),
            Kind::WriteOnly => Box::new(Bare),
        }
    }

    /// Starts it with what its authors set, but for limits that would cut a member off.
    pub(crate) fn start(&self) -> Server {
        let folder = folder();
        let program = &self.program;
        match self.kind {
            Kind::Halloo => {
                let args = ["serve", "--listen", "chat+tcp://127.0.0.1:0"];
                Server::announced(folder, program, &args)
            }
            Kind::WriteOnly => Server::announced(folder, program, &[HELP, "write-only"]),
            Kind::Nats => {
                let port = free_port();
                let text = format!("listen: 127.0.0.1:{port}\nmax_connections: 20000\n");
                let config = write(folder.path(), "nats.conf", &text);
                Server::on_port(folder, program, &["-c".into(), config], port)
            }
            Kind::Redis => {
                let port = free_port();
                let text = format!(
                    "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\n\
                     maxclients 15000\nclient-output-buffer-limit pubsub 0 0 0\n",
                    folder.path().display()
                );
                let config = write(folder.path(), "redis.conf", &text);
                Server::on_port(folder, program, &[config], port)
            }
            Kind::Mosquitto => {
                let port = free_port();
                let text = format!(
                    "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
                     max_queued_messages 0\nuser root\n"
                );
                let config = write(folder.path(), "mosquitto.conf", &text);
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
