//! The real hub on a thread.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use halloo_std::hub::{HubConfig, Server, Shutdown};

/// A hub on a thread, stopped when dropped.
pub(crate) struct Hub {
    pub(crate) url: String,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    pub(crate) fn start(listen: &str) -> Self {
        let config = HubConfig {
            rooms: 8,
            members: 64,
            max_connections: 64,
            ..HubConfig::default()
        };
        let server = Server::bind(&[listen.parse().unwrap()], config).unwrap();
        let url = server.endpoints()[0].to_string();
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let thread = thread::spawn(move || {
            server.run(&stop).unwrap();
        });
        Self {
            url,
            shutdown,
            thread: Some(thread),
        }
    }

    pub(crate) fn tcp() -> Self {
        Self::start("chat+tcp://127.0.0.1:0")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.url.trim_start_matches("chat+tcp://").parse().unwrap()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.shutdown.trigger();
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}
