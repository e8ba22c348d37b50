//! The device over minimq, which keeps the session, what is not acknowledged, and the pings.
#![no_std]
#![no_main]

use core::task::Waker;

use embassy_time_driver::Driver;
use halloo_cortex_m::{Slots, halt};
use halloo_flash_peers::{Device, Pipe, block_on, by, in_millis, now, pause, start};
use minimq::{
    Buffers, ConfigBuilder, ConnectEvent, Connection, Publication, QoS, Session,
    SubscriptionOptions, TopicFilter,
};

/// The largest packet that comes.
const RX: usize = 256;
/// Four posts of 32 bytes with their topic, and what `CONNECT` takes beside them.
const TX: usize = 4 * 48 + 96;

static RECEIVED: Slots<[u8; RX], 1> = Slots::new();
static TO_SEND: Slots<[u8; TX], 1> = Slots::new();
static SESSION: Slots<Session<'static>, 1> = Slots::new();

struct BoardTime;

impl Driver for BoardTime {
    fn now(&self) -> u64 {
        now().as_ticks()
    }

    /// `block_on` looks at everything at each interrupt.
    fn schedule_wake(&self, _: u64, _: &Waker) {}
}

embassy_time_driver::time_driver_impl!(static TIME: BoardTime = BoardTime);

#[cortex_m_rt::entry]
fn main() -> ! {
    let [session] = SESSION.fill(session) else {
        halt();
    };
    block_on(run(start(), session))
}

fn session() -> Session<'static> {
    let ([rx], [tx]) = (RECEIVED.fill(|| [0; RX]), TO_SEND.fill(|| [0; TX])) else {
        halt();
    };
    let Ok(config) = ConfigBuilder::new(Buffers::new(rx, tx)).client_id("board") else {
        halt();
    };
    Session::new(config.keepalive_interval(25).session_expiry_interval(3600))
}

async fn run(mut line: Pipe, session: &mut Session<'static>) {
    let mut device = Device::new();
    loop {
        line.drain();
        if let Some(Ok(connection)) = by(in_millis(5_000), session.connect(&mut line)).await {
            serve(connection, &mut device).await;
        }
        pause(1_000).await;
    }
}

/// Posts and obeys until the connection is over.
async fn serve(mut connection: Connection<'_, '_, &mut Pipe>, device: &mut Device) {
    if connection.connect_event() == ConnectEvent::Connected {
        let options = SubscriptionOptions::default().maximum_qos(QoS::AtLeastOnce);
        let filter = TopicFilter::new("commands").options(options);
        if connection.subscribe(&[filter], &[]).await.is_err() {
            return;
        }
    }
    while connection.is_connected() {
        if device.is_due() && connection.can_publish(QoS::AtLeastOnce) {
            let reading = device.reading();
            let post = Publication::bytes("readings", &reading).qos(QoS::AtLeastOnce);
            // Else there is no room: it waits for an acknowledgement.
            if connection.publish(post).await.is_ok() {
                device.is_posted();
            }
        }
        match by(device.due(), connection.poll()).await {
            Some(Ok(Some(command))) => device.obey(command.payload()),
            Some(Ok(None)) | None => {}
            Some(Err(_)) => return,
        }
    }
}
