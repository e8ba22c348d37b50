//! A device: the core's client and link over a pipe, with an application on top.
//!
//! The same machines with the same fixed buffers as in an image for a microcontroller; only the
//! pipe below and the application above are the simulator's.

use halloo_core::chat::client::{Config as ClientConfig, Event, From};
use halloo_core::chat::{Backoff, HANDSHAKE, datagram};
use halloo_core::frame::{Datagram, Length32};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::{Instant, after, earliest};
use halloo_std::socket::SocketError;
use mio::event::Event as Readiness;
use mio::{Registry, Token};

use super::Client;
use super::app::App;
use super::body;
use super::pipe::{Cut, Pipe, Target};
use super::plan::{Kind, Plan};
use super::shared::{Phase, Shared, Tally};

/// The largest payload of a frame that a device takes.
const MAX_FRAME: usize = 256;

/// What a device works off before others have their turn.
const TURN: usize = 256;

type OnStream =
    Link<Length32, { rx_bytes::<Length32>(MAX_FRAME) }, { tx_bytes::<Length32>(body::MOST) }>;
type OnDatagrams =
    Link<Datagram, { rx_bytes::<Datagram>(MAX_FRAME) }, { tx_bytes::<Datagram>(body::MOST) }>;

/// An image has one of them.
#[derive(Debug)]
enum DeviceLink {
    Stream(OnStream),
    Datagrams(OnDatagrams),
}

impl DeviceLink {
    fn new(target: &Target) -> Self {
        match target {
            Target::Tcp(_) | Target::Unix(_) => Self::Stream(Link::new(Length32::new(MAX_FRAME))),
            Target::Udp(_) => Self::Datagrams(Link::new(Datagram::new(usize::MAX))),
        }
    }

    fn connect(&mut self, client: &mut Client, now: Instant, nonce: u64) {
        match self {
            Self::Stream(link) => link.connect(client, now, nonce),
            Self::Datagrams(link) => link.connect(client, now, nonce),
        }
    }

    fn poll_timeout(&self, client: &Client) -> Option<Instant> {
        match self {
            Self::Stream(link) => link.poll_timeout(client),
            Self::Datagrams(link) => link.poll_timeout(client),
        }
    }

    fn poll(
        &mut self,
        pipe: &mut Pipe,
        client: &mut Client,
        now: Instant,
    ) -> nb::Result<Output<'_>, LinkError<SocketError>> {
        match self {
            Self::Stream(link) => link.poll(pipe, client, now),
            Self::Datagrams(link) => link.poll(pipe, client, now),
        }
    }
}

/// What a device needs of its thread.
#[derive(Debug)]
pub(crate) struct Turn<'t> {
    pub(crate) now: Instant,
    pub(crate) shared: &'t Shared,
    pub(crate) registry: &'t Registry,
    pub(crate) tally: &'t mut Tally,
}

#[derive(Debug)]
pub(crate) struct Device {
    token: Token,
    target: Target,
    client: Client,
    link: DeviceLink,
    pipe: Option<Pipe>,
    is_linked: bool,
    backoff: Backoff,
    /// When to connect, or to give up an attempt.
    connect_at: Option<Instant>,
    was_welcomed: bool,
    cuts: Vec<u64>,
    /// When posting began; cuts count from there.
    posting_since: Option<Instant>,
    rng: fastrand::Rng,
    app: App,
}

impl Device {
    pub(crate) fn new(
        number: u32,
        plan: &Plan,
        target: Target,
        token: Token,
        app: App,
    ) -> Option<Self> {
        let role = plan.roles.get(number as usize)?;
        let name = match role.kind {
            Kind::Sensor => "sensor",
            Kind::Actuator => "actuator",
            Kind::Talker => "talker",
            Kind::Probe => return None,
        };
        let mut config =
            ClientConfig::new(plan.device_id(number), &format!("{name}-{number}")).ok()?;
        config.max_frame = u32::try_from(MAX_FRAME).ok()?;
        if matches!(target, Target::Udp(_)) {
            config.keepalive = datagram::KEEPALIVE;
        }
        let mut client = Client::new(config);
        for &room in &role.rooms {
            client.join(&plan.room_name(room), From::Latest).ok()?;
        }
        Some(Self {
            token,
            link: DeviceLink::new(&target),
            target,
            client,
            pipe: None,
            is_linked: false,
            backoff: Backoff::new(),
            connect_at: None,
            was_welcomed: false,
            cuts: role.cuts.clone(),
            posting_since: None,
            // A nonce has to differ from run to run, so the salt is in it.
            rng: fastrand::Rng::with_seed(role.seed ^ plan.salt),
            app,
        })
    }

    pub(crate) const fn app(&self) -> &App {
        &self.app
    }

    /// Whether it has a connection, or tries to.
    pub(crate) const fn is_connected(&self) -> bool {
        self.pipe.is_some()
    }

    pub(crate) fn into_app(self) -> App {
        self.app
    }

    /// Whether it waits to become a member of its rooms.
    pub(crate) fn is_joining(&self) -> bool {
        !self.app.is_joined()
    }

    /// From now on it connects.
    pub(crate) const fn start(&mut self, now: Instant) {
        self.connect_at = Some(now);
    }

    pub(crate) fn handle_readiness(&mut self, event: &Readiness) {
        if let Some(pipe) = &mut self.pipe {
            pipe.handle_event(event);
        }
    }

    pub(crate) fn handle_phase(&mut self, phase: Phase, now: Instant) {
        match phase {
            Phase::Joining | Phase::Reading => {}
            Phase::Posting => {
                self.posting_since = Some(now);
                self.app.handle_start(now);
            }
            Phase::Settling => {
                self.cuts.clear();
                self.app.handle_stop();
            }
            Phase::Leaving => {
                self.connect_at = None;
                self.client.bye();
            }
        }
    }

    /// When it wants its next turn, whatever its pipe does.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let own = earliest(self.app.poll_timeout(), self.cut_at());
        let machine = earliest(self.link.poll_timeout(&self.client), self.connect_at);
        earliest(own, machine)
    }

    /// Does what there is to do; true when there is more.
    ///
    /// Work: at most 256 deliveries and events.
    pub(crate) fn run(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.cut_at().is_some_and(|at| at <= turn.now) {
            self.cuts.pop();
            self.cut(turn);
        }
        if self.connect_at.is_some_and(|at| at <= turn.now) {
            if self.pipe.is_some() {
                tracing::debug!("connecting takes too long");
                self.disconnect(turn);
            } else {
                self.connect(turn);
            }
        }
        let Some(pipe) = &mut self.pipe else {
            self.tell_events(turn);
            // Posts go to the outbox while there is no connection, too.
            self.app.poll_post(turn.now, &mut self.client, turn.tally);
            return false;
        };
        if !self.is_linked {
            match pipe.poll_connected() {
                Ok(true) => {
                    let nonce = self.rng.u64(..);
                    self.link.connect(&mut self.client, turn.now, nonce);
                    self.is_linked = true;
                    self.connect_at = None;
                }
                Ok(false) => return false,
                Err(error) => {
                    tracing::debug!(%error, "connecting failed");
                    self.disconnect(turn);
                    return false;
                }
            }
        }
        self.serve(turn)
    }

    fn serve(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(pipe) = &mut self.pipe else {
            return false;
        };
        let mut is_over = false;
        let mut has_more = true;
        for _ in 0..TURN {
            match self.link.poll(pipe, &mut self.client, turn.now) {
                Ok(Output::Delivery(delivery)) => {
                    self.app
                        .handle_delivery(turn.now, &delivery, turn.shared, turn.tally);
                }
                Ok(Output::Event(event)) => {
                    is_over |= matches!(event, Event::Closed { .. });
                    if event == Event::Welcomed {
                        self.backoff.handle_service(turn.now);
                        if std::mem::replace(&mut self.was_welcomed, true) {
                            turn.tally.live.reconnects.add(1);
                        }
                    }
                    self.app
                        .handle_event(turn.now, event, &self.client, turn.tally);
                }
                Err(nb::Error::WouldBlock) => {
                    let posted = self.app.poll_post(turn.now, &mut self.client, turn.tally);
                    if !posted && !pipe.may_read() {
                        has_more = false;
                        break;
                    }
                }
                Err(nb::Error::Other(error)) => {
                    tracing::debug!(%error, "the link is gone");
                    is_over = true;
                }
            }
            if is_over {
                break;
            }
        }
        let flushed = pipe.flush_ready();
        if is_over || flushed.is_err() {
            self.disconnect(turn);
            return false;
        }
        has_more
    }

    fn connect(&mut self, turn: &mut Turn<'_>) {
        self.connect_at = None;
        match Pipe::connect(&self.target, turn.registry, self.token) {
            Ok(pipe) => {
                self.pipe = Some(pipe);
                self.is_linked = false;
                self.connect_at = Some(after(turn.now, HANDSHAKE));
            }
            Err(error) => {
                tracing::debug!(%error, "connecting failed");
                self.disconnect(turn);
            }
        }
    }

    fn cut(&mut self, turn: &mut Turn<'_>) {
        if let Some(pipe) = self.pipe.take() {
            turn.tally.live.cuts.add(1);
            pipe.cut(if self.rng.bool() {
                Cut::Reset
            } else {
                Cut::Close
            });
            self.disconnect(turn);
        }
    }

    /// There is no connection any more, and the next attempt is some time from now.
    fn disconnect(&mut self, turn: &mut Turn<'_>) {
        self.pipe = None;
        self.is_linked = false;
        self.client.handle_disconnected(turn.now);
        self.tell_events(turn);
        self.backoff.handle_disconnected(turn.now);
        if turn.shared.phase() < Phase::Leaving {
            let wait = self
                .backoff
                .next_wait(self.rng.u32(..), self.client.retry_after());
            self.connect_at = Some(after(turn.now, wait));
        }
    }

    fn tell_events(&mut self, turn: &mut Turn<'_>) {
        while let Some(event) = self.client.poll_event() {
            self.app
                .handle_event(turn.now, event, &self.client, turn.tally);
        }
    }

    fn cut_at(&self) -> Option<Instant> {
        let since = self.posting_since?;
        let cut = self.cuts.last()?;
        Some(Instant::from_ticks(since.as_ticks().saturating_add(*cut)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_memory_of_firmware_and_thousands_fit_a_thread() {
        let machines = size_of::<Client>() + size_of::<DeviceLink>();
        assert!(machines <= 1536, "{machines}");
        let device = size_of::<Device>();
        assert!(device <= 4608, "{device}");
    }
}
