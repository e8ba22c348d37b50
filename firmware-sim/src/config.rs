//! What a run is to be.

use std::time::Duration;

use halloo_std::url::{Endpoint, Protocol, Transport};

use crate::SimError;

/// What a run is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How many devices. Default: 200.
    pub devices: u32,
    /// How long they post. Default: 10 s.
    pub time: Duration,
    /// Posts per second of each sensor and talker; 0 leaves connections idle. Default: 10.
    pub rate: f64,
    /// Threads of devices. Default: 1.
    pub threads: usize,
    /// Somebody else's hub; `None` starts one in this process.
    pub hub: Option<Endpoint>,
    /// Somebody else's echo; with somebody else's hub, no echo is measured without it.
    pub echo: Option<Endpoint>,
    /// What kinds, rooms, texts, the pauses between posts, and cuts come from. Default: 1.
    pub seed: u64,
    /// How many times the connection of each device is cut on purpose, on average. Default: 0.05.
    pub reconnects: f64,
    /// How long the fleet may take to bring home what is on the way at the end. Default: 15 s.
    pub settle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            devices: 200,
            time: Duration::from_secs(10),
            rate: 10.0,
            threads: 1,
            hub: None,
            echo: None,
            seed: 1,
            reconnects: 0.05,
            settle: Duration::from_secs(15),
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), SimError> {
        let bad = |what, value: &dyn ToString, wanted| {
            Err(SimError::Config {
                what,
                value: value.to_string(),
                wanted,
            })
        };
        if self.devices == 0 {
            return bad("devices", &0, "at least 1 is needed");
        }
        if self.threads == 0 || self.threads > self.devices as usize {
            return bad("threads", &self.threads, "from 1 to the number of devices");
        }
        if !(0.0..=1e5).contains(&self.rate) {
            return bad("rate", &self.rate, "from 0 to 100000 posts per second");
        }
        if !(0.0..=1e4).contains(&self.reconnects) {
            return bad("reconnects", &self.reconnects, "a share from 0 to 10000");
        }
        check_url(self.hub.as_ref(), Protocol::Chat)?;
        check_url(self.echo.as_ref(), Protocol::Echo)
    }

    /// Whether there is echo to measure.
    pub(crate) const fn has_echo(&self) -> bool {
        self.hub.is_none() || self.echo.is_some()
    }
}

fn check_url(endpoint: Option<&Endpoint>, protocol: Protocol) -> Result<(), SimError> {
    let Some(endpoint) = endpoint else {
        return Ok(());
    };
    let is_datagram = matches!(endpoint.transport, Transport::Udp { .. });
    let has_prefix = endpoint.options.prefix.is_some();
    let is_carried = match protocol {
        Protocol::Chat => !is_datagram,
        _ => true,
    };
    let is_served = is_carried && !endpoint.transport.is_line();
    if endpoint.protocol == protocol && !has_prefix && is_served {
        return Ok(());
    }
    let (wanted, example) = match protocol {
        Protocol::Echo => ("an echo without prefix", "echo+udp://127.0.0.1:65433"),
        _ => ("a hub's chat over a stream", "chat+tcp://127.0.0.1:7007"),
    };
    Err(SimError::WrongUrl {
        url: endpoint.to_string(),
        wanted,
        example,
    })
}
