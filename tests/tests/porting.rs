//! The core over a network stack without an operating system: smoltcp's TCP, against a real hub.
//!
//! [`Tcp`] is what a board needs between the two; `docs/porting.md` points here.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use halloo_core::chat::client::{Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::frame::Length32;
use halloo_core::link::{Link, Output, rx_bytes, tx_bytes};
use halloo_tests::hub::{RunningHub, small};
use smoltcp::iface::{self, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Loopback, Medium};
use smoltcp::socket::tcp::{self, Socket};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

const PORT: u16 = 7007;
const PATIENCE: Duration = Duration::from_secs(30);

/// A TCP socket of smoltcp as a byte pipe. The interface is polled elsewhere, between two calls.
struct Tcp<'a, 's>(&'a mut Socket<'s>);

impl ErrorType for Tcp<'_, '_> {
    type Error = ErrorKind;
}

impl Read for Tcp<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.0.recv_slice(room) {
            Ok(len) => Ok(len),
            // The other side has ended, and all that it sent was read.
            Err(tcp::RecvError::Finished) => Ok(0),
            Err(tcp::RecvError::InvalidState) => Err(ErrorKind::NotConnected),
        }
    }
}

impl Write for Tcp<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.send_slice(bytes).map_err(|_| ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

// An end is ready, too: the call that follows tells it.
impl ReadReady for Tcp<'_, '_> {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.can_recv() || !self.0.may_recv())
    }
}

impl WriteReady for Tcp<'_, '_> {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.can_send() || !self.0.may_send())
    }
}

/// A board with a network: its socket, and the far end, whose bytes a gateway carries to the hub.
struct Board {
    begun: Instant,
    device: Loopback,
    interface: Interface,
    sockets: SocketSet<'static>,
    near: SocketHandle,
    far: SocketHandle,
    gateway: TcpStream,
}

impl Board {
    fn new(gateway: TcpStream) -> Self {
        gateway.set_nonblocking(true).unwrap();
        let mut device = Loopback::new(Medium::Ip);
        let now = smoltcp::time::Instant::ZERO;
        let mut interface =
            Interface::new(iface::Config::new(HardwareAddress::Ip), &mut device, now);
        interface.update_ip_addrs(|all| {
            all.push(IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8))
                .unwrap();
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; 512]);
        let mut sockets = SocketSet::new(Vec::new());
        let near = sockets.add(Socket::new(buffer(), buffer()));
        let far = sockets.add(Socket::new(buffer(), buffer()));
        let mut board = Self {
            begun: Instant::now(),
            device,
            interface,
            sockets,
            near,
            far,
            gateway,
        };
        board.connect();
        board
    }

    fn connect(&mut self) {
        self.sockets
            .get_mut::<Socket<'_>>(self.far)
            .listen(PORT)
            .unwrap();
        let remote = (IpAddress::v4(127, 0, 0, 1), PORT);
        let context = self.interface.context();
        let near = self.sockets.get_mut::<Socket<'_>>(self.near);
        near.connect(context, remote, 49_152).unwrap();
        while !self.sockets.get::<Socket<'_>>(self.near).may_send() {
            self.turn();
        }
    }

    fn now(&self) -> halloo_core::time::Instant {
        let micros = self.begun.elapsed().as_micros();
        halloo_core::time::Instant::from_ticks(micros.try_into().unwrap())
    }

    /// Moves packets, and bytes between the far end and the hub.
    fn turn(&mut self) {
        let now = smoltcp::time::Instant::from_micros(self.begun.elapsed().as_micros() as i64);
        self.interface
            .poll(now, &mut self.device, &mut self.sockets);
        let far = self.sockets.get_mut::<Socket<'_>>(self.far);
        let _ = far.recv(|bytes| {
            let taken = self.gateway.write(bytes).unwrap_or(0);
            (taken, ())
        });
        let _ = far.send(|room| match self.gateway.read(room) {
            Ok(len) => (len, ()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => (0, ()),
            Err(e) => panic!("{e}"),
        });
    }

    fn tcp(&mut self) -> Tcp<'_, 'static> {
        Tcp(self.sockets.get_mut(self.near))
    }
}

#[test]
fn a_device_over_smoltcp_posts_and_hears_others_through_a_real_hub() {
    const POSTS: u32 = 50;
    let hub = RunningHub::chat(small());
    let mut other = hub.member(2, "lab");
    let mut board = Board::new(hub.tcp(0));
    let config = Config::new(*b"a board with TCP", "board").unwrap();
    let mut client = Client::<1, { outbox_bytes(4, 16) }>::new(config);
    let mut link =
        Link::<Length32, { rx_bytes::<Length32>(256) }, { tx_bytes::<Length32>(16) }>::new(
            Length32::new(256),
        );
    let lab = client.join("lab", From::Latest).unwrap();
    link.connect(&mut client, board.now(), 7);
    let (mut posted, mut acked, mut heard) = (0, 0, 0);
    let mut is_joined = false;
    while acked < POSTS || heard < POSTS {
        assert!(board.begun.elapsed() < PATIENCE, "{posted} {acked} {heard}");
        let now = board.now();
        match link.poll(&mut board.tcp(), &mut client, now) {
            Ok(Output::Event(Event::Joined { .. })) => is_joined = true,
            Ok(Output::Event(Event::Acked { .. })) => acked += 1,
            Ok(Output::Delivery(Delivery::Entry { body, .. })) => {
                assert_eq!(body, heard.to_be_bytes());
                heard += 1;
            }
            Ok(_) => {}
            Err(nb::Error::WouldBlock) => board.turn(),
            Err(nb::Error::Other(error)) => panic!("{error:?}"),
        }
        if is_joined && posted < POSTS && client.post(lab, &posted.to_be_bytes()).is_ok() {
            posted += 1;
            other.post(&(posted - 1).to_be_bytes());
        }
    }
    let stats = hub.stop().stats;
    assert_eq!(
        (stats.chat.posts, stats.chat.repeated),
        (2 * u64::from(POSTS), 0)
    );
}
