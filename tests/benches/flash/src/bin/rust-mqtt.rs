//! The device over rust-mqtt, which leaves to its user to ping, to keep what is not acknowledged, and to
//! send it again.
#![no_std]
#![no_main]

use core::num::NonZero;

use halloo_core::time::Instant;
use halloo_cortex_m::{Slots, halt};
use halloo_flash_peers::{Device, Pipe, Text, block_on, by, in_millis, now, pause, start};
use rust_mqtt::buffer::BumpBuffer;
use rust_mqtt::client::event::Event;
use rust_mqtt::client::options::{
    ConnectOptions, DisconnectOptions, PublicationOptions, SubscriptionOptions, TopicReference,
};
use rust_mqtt::client::{Client, MqttError};
use rust_mqtt::config::{KeepAlive, SessionExpiryInterval};
use rust_mqtt::types::{MqttString, PacketIdentifier, TopicFilter, TopicName};

/// The largest packet that comes, and at once the room for what is read of one.
const RX: usize = 256;
/// Posts that are not acknowledged yet.
const POSTS: usize = 4;
/// Milliseconds, as minimq has them.
const KEEPALIVE: u64 = 25_000;
const ROUND_TRIP: u64 = 5_000;

type Buffer = BumpBuffer<'static>;
type Mqtt = Client<'static, 'static, Pipe, Buffer, 1, 4, POSTS, 0, 0, 0, 0>;

static RECEIVED: Slots<[u8; RX], 1> = Slots::new();
static BUFFER: Slots<Buffer, 1> = Slots::new();
static CLIENT: Slots<Mqtt, 1> = Slots::new();
static APP: Slots<App, 1> = Slots::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    let ([client], [app]) = (CLIENT.fill(client), APP.fill(App::new)) else {
        halt();
    };
    block_on(run(start(), client, app))
}

fn client() -> Mqtt {
    let [memory] = RECEIVED.fill(|| [0; RX]) else {
        halt();
    };
    let mut memory = memory.as_mut_slice();
    let [buffer] = BUFFER.fill(|| BumpBuffer::new(core::mem::take(&mut memory))) else {
        halt();
    };
    Mqtt::new(buffer)
}

async fn run(mut line: Pipe, client: &mut Mqtt, app: &mut App) {
    let keepalive = const { NonZero::new((KEEPALIVE / 1_000) as u16).unwrap() };
    let connect = ConnectOptions::new()
        .keep_alive(KeepAlive::Seconds(keepalive))
        .session_expiry_interval(SessionExpiryInterval::Seconds(
            const { NonZero::new(3600).unwrap() },
        ))
        .maximum_packet_size(const { NonZero::new(RX as u32).unwrap() });
    loop {
        line.drain();
        free(client);
        let id = MqttString::from_str_unchecked("board");
        let connected = by(
            in_millis(ROUND_TRIP),
            client.connect(line, &connect, Some(id)),
        )
        .await
        .and_then(Result::ok)
        .map(|connected| connected.session_present);
        if let Some(is_resumed) = connected {
            free(client);
            let _ = app.serve(client, is_resumed).await;
        }
        line = match client.disconnect(&DisconnectOptions::new()).await {
            Ok(line) => line,
            Err(_) => match client.abort().await {
                Ok(line) => line,
                Err(_) => return,
            },
        };
        pause(1_000).await;
    }
}

/// Gives back the room for what was read.
fn free(client: &mut Mqtt) {
    // SAFETY: callers have dropped what the client gave them.
    unsafe { client.buffer_mut().reset() }
}

struct App {
    device: Device,
    /// In the order of posting.
    outbox: heapless::Vec<(PacketIdentifier, Text), POSTS, u8>,
}

impl App {
    fn new() -> Self {
        Self {
            device: Device::new(),
            outbox: heapless::Vec::new(),
        }
    }

    /// Posts and obeys until the connection is over.
    async fn serve(
        &mut self,
        client: &mut Mqtt,
        is_resumed: bool,
    ) -> Result<(), MqttError<'static, 0>> {
        let options = post_options();
        if !is_resumed {
            let filter = TopicFilter::new_unchecked(MqttString::from_str_unchecked("commands"));
            let at_least_once = SubscriptionOptions::new().at_least_once();
            client.subscribe(filter, &at_least_once).await?;
        }
        for (id, text) in &mut self.outbox {
            if is_resumed {
                client
                    .republish(*id, &options, text.as_slice().into())
                    .await?;
            } else if let Some(new) = client.publish(&options, text.as_slice().into()).await? {
                *id = new;
            }
        }
        let mut ping_at = in_millis(KEEPALIVE);
        let mut answer_by: Option<Instant> = None;
        loop {
            if self.device.is_due() && !self.outbox.is_full() {
                let text = self.device.reading();
                match client.publish(&options, text.as_slice().into()).await {
                    Ok(id) => {
                        if let Some(id) = id {
                            let _ = self.outbox.push((id, text));
                        }
                        self.device.is_posted();
                        ping_at = in_millis(KEEPALIVE);
                    }
                    // There is no room: it waits for an acknowledgement.
                    Err(error) if error.is_recoverable() => {}
                    Err(error) => return Err(error),
                }
            }
            if answer_by.is_some_and(|at| at <= now()) {
                return Ok(());
            }
            if answer_by.is_none() && ping_at <= now() {
                client.ping().await?;
                answer_by = Some(in_millis(ROUND_TRIP));
                ping_at = in_millis(KEEPALIVE);
            }
            let deadline = self.device.due().min(answer_by.unwrap_or(ping_at));
            let Some(header) = by(deadline, client.poll_header()).await else {
                continue;
            };
            let Some(event) = by(in_millis(ROUND_TRIP), client.poll_body(header?)).await else {
                return Ok(());
            };
            match event? {
                Event::Pingresp => answer_by = None,
                Event::Publish(command) => self.device.obey(command.message.as_bytes()),
                Event::PublishAcknowledged(ack) => self.acknowledged(ack.packet_identifier),
                Event::PublishRejected(reject) => self.acknowledged(reject.packet_identifier),
                _ => {}
            }
            free(client);
        }
    }

    fn acknowledged(&mut self, id: PacketIdentifier) {
        self.outbox.retain(|(of, _)| *of != id);
    }
}

fn post_options() -> PublicationOptions<'static> {
    let topic = TopicName::new_unchecked(MqttString::from_str_unchecked("readings"));
    PublicationOptions::new(TopicReference::Name(topic)).at_least_once()
}
