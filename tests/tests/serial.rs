//! Chat over serial lines: a device's link and a hub, with a line in memory between them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_io::{Read, ReadReady, Write};
use halloo_core::chat::client::{Cause, Client, Config, Delivery, Event, From, outbox_bytes};
use halloo_core::chat::datagram::Header;
use halloo_core::chat::hub;
use halloo_core::frame::{Cobs, Decoder, Framing, buffer_bytes};
use halloo_core::link::{Link, LinkError, Output, rx_bytes, tx_bytes};
use halloo_core::time::Instant;
use halloo_core::wire::{self, Code, Hello, Message};
use halloo_std::testkit::{End, HubMemory, LocalHub, Noise, NoiseRates, pipe};

type Device = Client<1, { outbox_bytes(4, 32) }>;
type Uart = Link<Cobs, { rx_bytes::<Cobs>(256) }, { tx_bytes::<Cobs>(32) }>;

fn ms(ms: u64) -> Instant {
    Instant::from_ticks(ms * 1000)
}

/// A board: what it posts, and what it was told.
struct Board {
    client: Device,
    link: Uart,
    nonce: u64,
    sessions: u32,
    acked: Vec<u32>,
    read: Vec<(u64, Vec<u8>)>,
    ends: Vec<Cause>,
}

impl Board {
    fn new(number: u8) -> Self {
        let config = Config::new([number; 16], "board").unwrap();
        let mut client = Device::new(config);
        client
            .join_with("lab", From::Earliest, wire::Join::OWN_BODIES)
            .unwrap();
        Self {
            client,
            link: Uart::new(Cobs::new(512)),
            nonce: u64::from(number) << 32,
            sessions: 0,
            acked: Vec::new(),
            read: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn connect(&mut self, now: Instant) {
        self.nonce += 1;
        self.link.connect(&mut self.client, now, self.nonce);
    }

    /// All that there is to do now; `Err` when the line is gone.
    fn turn(
        &mut self,
        io: &mut End,
        now: Instant,
    ) -> Result<(), LinkError<halloo_std::testkit::PipeError>> {
        loop {
            match self.link.poll(io, &mut self.client, now) {
                Ok(Output::Event(Event::Welcomed)) => self.sessions += 1,
                Ok(Output::Event(Event::Acked { seq, .. })) => self.acked.push(seq),
                Ok(Output::Event(Event::Closed { cause })) => {
                    self.ends.push(cause);
                    self.connect(now);
                }
                Ok(Output::Delivery(Delivery::Entry { offset, body, .. })) => {
                    self.read.push((offset, body.to_vec()));
                }
                Ok(_) => {}
                Err(nb::Error::WouldBlock) => return Ok(()),
                Err(nb::Error::Other(error)) => return Err(error),
            }
        }
    }
}

/// A board at a hub, with a session.
fn at_a_hub<'m>(memory: &'m mut HubMemory) -> (LocalHub<'m>, Board, End) {
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let mut board = Board::new(1);
    board.connect(ms(0));
    for turn in 0..9 {
        board.turn(&mut line, ms(turn)).unwrap();
        hub.turn(ms(turn));
    }
    assert_eq!(board.sessions, 1);
    (hub, board, line)
}

fn sealed(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; buffer_bytes::<Cobs>(payload.len())];
    frame[Cobs::HEADER..][..payload.len()].copy_from_slice(payload);
    let len = Cobs::new(4096).seal(&mut frame, payload.len()).unwrap();
    frame.truncate(len);
    frame
}

fn datagram(session: u64, number: u32, seen: u32, message: &Message<'_>) -> Vec<u8> {
    let mut out = [0; 128];
    let header = Header {
        session,
        number,
        seen,
    };
    let len = wire::binary::encode(message, &mut out).unwrap();
    [&header.encode()[..], &out[..len]].concat()
}

/// What stands in the frames that wait at the end of a line: the session, and the message's kind.
fn frames(line: &mut End) -> Vec<(u64, u8)> {
    let mut decoder: Decoder<Cobs, 4096> = Decoder::new(Cobs::new(2048));
    let mut found = Vec::new();
    while line.read_ready().unwrap() {
        let n = line.read(decoder.room()).unwrap();
        decoder.commit(n);
        while let Some(frame) = decoder.poll_frame().unwrap() {
            let (header, message) = Header::decode(decoder.bytes(frame)).unwrap();
            found.push((header.session, message[0]));
        }
    }
    found
}

fn hello(device: u8, nonce: u64) -> Message<'static> {
    Message::Hello(Hello {
        version_min: 1,
        version_max: 1,
        suite: 0,
        key_id: 0,
        flags: 0,
        nonce,
        device: [device; 16],
        max_frame: 512,
        credit: 8,
        keepalive: 25,
        proof: &[],
        cookie: None,
    })
}

/// Bytes that are no frame: cut short, with a wrong check, above every limit, and one that goes on.
fn noises() -> [Vec<u8>; 4] {
    [
        b"\0\x05abc\0".to_vec(),
        b"\0\x07hi\xac\x2a\x93\xd9\0".to_vec(),
        [&[7; 9000][..], b"\0"].concat(),
        b"\0\x30a stray byte, or some".to_vec(),
    ]
}

#[test]
fn what_is_no_frame_ends_no_session_at_either_end() {
    // [F-LINE-1]
    let mut memory = HubMemory::small();
    let (mut hub, mut board, mut line) = at_a_hub(&mut memory);
    let due = board.link.poll_timeout(&board.client);
    for noise in noises() {
        for piece in noise.chunks(700) {
            line.write(piece).unwrap();
            hub.turn(ms(9));
        }
    }
    for turn in 0..20_000 {
        hub.turn(ms(turn));
        board.turn(&mut line, ms(turn)).unwrap();
    }
    // The same way in at the board.
    let (mut far, mut near) = pipe(usize::MAX);
    for noise in noises() {
        far.write(&noise).unwrap();
    }
    board.turn(&mut near, ms(20_000)).unwrap();
    assert_ne!(due, None);
    assert!(board.client.is_serving());
    assert_eq!((board.sessions, &board.ends[..]), (1, &[][..]));
    assert_eq!(hub.counters().violations, 0);
    // The frame behind it all arrives, and so does what it says.
    board.client.post(0, b"after the noise").unwrap();
    for turn in 20_000..24_000 {
        board.turn(&mut line, ms(turn)).unwrap();
        hub.turn(ms(turn));
    }
    assert_eq!((hub.head("lab"), &board.acked[..]), (Some(1), &[1][..]));
    assert_eq!(board.sessions, 1);
}

#[test]
fn a_stray_byte_makes_no_deadline() {
    // [F-LINE-1]
    let mut memory = HubMemory::small();
    let (_hub, mut board, _line) = at_a_hub(&mut memory);
    let due = board.link.poll_timeout(&board.client);
    let (mut far, mut near) = pipe(100);
    far.write(b"\x41").unwrap();
    board.turn(&mut near, ms(9)).unwrap();
    assert_eq!(board.link.poll_timeout(&board.client), due);
    // Nor for one that waits instead of asking.
    let waker = Waker::noop();
    let mut context = Context::from_waker(waker);
    let mut nowhere = Nowhere;
    for byte in [&b"\x42"[..], b"", b"\x43"] {
        let mut reader = Trickle(byte);
        let (link, client) = (&mut board.link, &mut board.client);
        let mut next = pin!(link.next(
            &mut reader,
            &mut nowhere,
            client,
            ms(9),
            std::future::pending()
        ));
        assert!(next.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(board.link.poll_timeout(&board.client), due);
}

/// Gives its bytes, and then waits for ever.
struct Trickle<'b>(&'b [u8]);

/// Takes all.
struct Nowhere;

impl embedded_io::ErrorType for Trickle<'_> {
    type Error = std::convert::Infallible;
}

impl embedded_io::ErrorType for Nowhere {
    type Error = std::convert::Infallible;
}

impl embedded_io_async::Read for Trickle<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        if self.0.is_empty() {
            std::future::pending::<()>().await;
        }
        let n = self.0.len().min(buf.len());
        buf[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        Ok(n)
    }
}

impl embedded_io_async::Write for Nowhere {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        Ok(buf.len())
    }
    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn an_asynchronous_link_has_a_session_over_a_line() {
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let mut board = Board::new(1);
    board.connect(ms(0));
    let mut context = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    for turn in 0..20 {
        let mut inward = Vec::new();
        while line.read_ready().unwrap() {
            let mut bytes = [0; 64];
            let n = line.read(&mut bytes).unwrap();
            inward.extend(&bytes[..n]);
        }
        let (mut reader, mut outward) = (Trickle(&inward), Vec::new());
        let mut writer = Collect(&mut outward);
        let (link, client) = (&mut board.link, &mut board.client);
        loop {
            let forever = std::future::pending();
            let next = pin!(link.next(&mut reader, &mut writer, client, ms(turn), forever));
            match next.poll(&mut context) {
                Poll::Ready(Ok(Some(Output::Event(event)))) => events.push(event),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => break,
            }
        }
        line.write(&outward).unwrap();
        hub.turn(ms(turn));
    }
    assert!(events.contains(&Event::Welcomed), "{events:?}");
    let joined = |event: &Event| matches!(event, Event::Joined { .. });
    assert!(events.iter().any(joined), "{events:?}");
}

/// Keeps what is written.
struct Collect<'v>(&'v mut Vec<u8>);

impl embedded_io::ErrorType for Collect<'_> {
    type Error = std::convert::Infallible;
}

impl embedded_io_async::Write for Collect<'_> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        self.0.extend(buf);
        Ok(buf.len())
    }
    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn the_end_of_a_line_is_told_at_both_ends() {
    // [F-LINE-4]
    let mut memory = HubMemory::small();
    let (mut hub, mut board, line) = at_a_hub(&mut memory);
    drop(line);
    hub.turn(ms(10));
    let (far, mut near) = pipe(100);
    drop(far);
    let over = board.turn(&mut near, ms(10));
    assert_eq!(over, Err(LinkError::Closed));
    assert_eq!(
        board.client.poll_event(),
        Some(Event::Closed { cause: Cause::Lost })
    );
    // Another line serves it, and the hub had but the one place to give.
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    board.connect(ms(11));
    for turn in 11..20 {
        board.turn(&mut line, ms(turn)).unwrap();
        hub.turn(ms(turn));
    }
    assert_eq!(board.sessions, 2);
    assert_eq!(hub.counters().fenced, 0, "the first session was over");
}

#[test]
fn a_board_that_was_reset_opens_a_session_at_once_where_the_hub_has_one_place() {
    // [F-LINE-2]
    let mut memory = HubMemory::new(1, 4, 1, 4096);
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let mut nonce = 0;
    // The same board, and another one that was put in its place.
    for device in [1, 1, 2, 1] {
        nonce += 1;
        line.write(&sealed(&datagram(nonce, 1, 0, &hello(device, nonce))))
            .unwrap();
        hub.turn(ms(nonce));
        assert_eq!(frames(&mut line), [(nonce, wire::kind::WELCOME)]);
        // Said again, as after a lost answer, it is answered again and opens none.
        line.write(&sealed(&datagram(nonce, 2, 0, &hello(device, nonce))))
            .unwrap();
        // What is doubled is passed over.
        line.write(&sealed(&datagram(nonce, 2, 0, &hello(device, nonce))))
            .unwrap();
        hub.turn(ms(nonce));
        assert_eq!(frames(&mut line), [(nonce, wire::kind::WELCOME)]);
    }
    assert_eq!(hub.counters().sessions, 4);
}

#[test]
fn a_hello_on_a_line_is_answered_by_welcome_and_not_by_a_cookie() {
    // [F-LINE-3]
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let short = datagram(7, 1, 0, &hello(1, 7));
    assert!(short.len() < halloo_core::chat::datagram::MIN_HELLO);
    line.write(&sealed(&short)).unwrap();
    hub.turn(ms(0));
    assert_eq!(frames(&mut line), [(7, wire::kind::WELCOME)]);
}

#[test]
fn a_line_that_takes_nothing_has_one_frame_begun_and_none_behind_it() {
    // [F-LINE-6]
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (mut line, end) = pipe(8);
    hub.attach_serial(end);
    for number in 1..=6 {
        for piece in sealed(&datagram(7, number, 0, &hello(1, 7))).chunks(8) {
            line.write(piece).unwrap();
            hub.turn(ms(0));
        }
    }
    let mut said = Vec::new();
    for _ in 0..100 {
        let mut bytes = [0; 8];
        if line.read_ready().unwrap() {
            let n = line.read(&mut bytes).unwrap();
            said.extend(&bytes[..n]);
        }
        hub.turn(ms(0));
    }
    let (mut far, mut near) = pipe(1024);
    far.write(&said).unwrap();
    // Six were said: the one that was begun, and the newest.
    assert_eq!(frames(&mut near), [(7, wire::kind::WELCOME); 2]);
}

#[test]
fn what_has_no_session_is_told_so_and_what_is_refused_too() {
    // [F-DGRAM-6]
    let mut memory = HubMemory::new(1, 4, 1, 4096);
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let ping = Message::Ping { token: 1 };
    line.write(&sealed(&datagram(
        9,
        3,
        1,
        &Message::EchoRequest {
            token: 1,
            bytes: b"hello",
        },
    )))
    .unwrap();
    hub.turn(ms(0));
    assert_eq!(frames(&mut line), [(9, wire::kind::ERROR)]);
    // Too short, a last word, and no message.
    let error = Message::Error(wire::PeerError {
        code: Code::Full,
        retry_after: 0,
        text: "no more of this",
    });
    for stray in [
        datagram(9, 3, 1, &ping),
        datagram(
            9,
            3,
            1,
            &Message::Bye(wire::Bye {
                reason: wire::ByeReason::Done,
                retry_after: 0,
            }),
        ),
        b"0123456789abcdef\xffwhat is this".to_vec(),
        b"short".to_vec(),
        datagram(9, 3, 1, &error),
    ] {
        line.write(&sealed(&stray)).unwrap();
    }
    hub.turn(ms(0));
    assert_eq!(frames(&mut line), []);
    // The one place is taken elsewhere.
    let (_peer, end) = pipe(1024);
    hub.attach(ms(0), end);
    line.write(&sealed(&datagram(7, 1, 0, &hello(1, 7))))
        .unwrap();
    hub.turn(ms(0));
    assert_eq!(frames(&mut line), [(7, wire::kind::ERROR)]);
}

#[test]
fn a_session_stays_at_its_line() {
    // [F-LINE-4]
    let mut memory = HubMemory::small();
    let mut hub = memory.hub();
    let (mut line, end) = pipe(1024);
    hub.attach_serial(end);
    let (mut other, end) = pipe(1024);
    hub.attach_serial(end);
    let mut say = |line: &mut End, session, number, message: &Message<'_>| {
        let frame = sealed(&datagram(session, number, 0, message));
        line.write(&frame).unwrap();
        hub.turn(ms(0));
    };
    say(&mut line, 7, 1, &hello(1, 7));
    let session = welcomed(&mut line);
    say(&mut other, 8, 1, &hello(2, 8));
    assert_ne!(welcomed(&mut other), session);
    let echo = Message::EchoRequest {
        token: 1,
        bytes: b"hello",
    };
    say(&mut other, session, 2, &echo);
    assert_eq!(frames(&mut other), [(session, wire::kind::ERROR)]);
    say(&mut line, session, 2, &echo);
    assert_eq!(frames(&mut line), [(session, wire::kind::ECHO_REPLY)]);
}

/// The session of the `Welcome` that waits at the end of a line.
fn welcomed(line: &mut End) -> u64 {
    let mut decoder: Decoder<Cobs, 512> = Decoder::new(Cobs::new(256));
    let n = line.read(decoder.room()).unwrap();
    decoder.commit(n);
    let frame = decoder.poll_frame().unwrap().unwrap();
    let (_, message) = Header::decode(decoder.bytes(frame)).unwrap();
    match wire::binary::decode(message).unwrap().message {
        Message::Welcome(welcome) => welcome.session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_frame_of_the_size_that_was_told_is_taken_with_what_stands_in_front_of_it() {
    // [F-LINE-5]
    const MESSAGE: usize = 256;
    let link = Uart::new(Cobs::new(MESSAGE + 16));
    assert_eq!(link.max_frame(), MESSAGE);
    assert_eq!(rx_bytes::<Cobs>(MESSAGE), MESSAGE + 16 + 8 + 1);
}

#[test]
fn a_hub_that_forgot_its_sessions_tells_the_board_which_comes_back() {
    let mut memory = HubMemory::small();
    let (hub, mut board, mut line) = at_a_hub(&mut memory);
    drop(hub);
    let mut fresh = HubMemory::small();
    let mut hub = fresh.hub_with(hub::Config::new(2, [2; 4], 2));
    let (mut line2, end) = pipe(1024);
    std::mem::swap(&mut line, &mut line2);
    hub.attach_serial(end);
    board.client.post(0, b"is anybody there").unwrap();
    for turn in 10..40 {
        board.turn(&mut line, ms(turn)).unwrap();
        hub.turn(ms(turn));
    }
    assert_eq!(board.ends, [Cause::Refused(Code::NoSession)]);
    assert_eq!((board.sessions, board.acked.len()), (2, 1));
}

/// Two boards post, each over a line that damages bytes both ways and each reset now and then with its
/// memory kept, until the faults stop.
fn run(seed: u64, rate: u32) -> (u64, [Board; 2]) {
    let mut memory = HubMemory::new(2, 4, 1, 1 << 16);
    let mut hub = memory.hub();
    let mut boards = [Board::new(1), Board::new(2)];
    let mut lines = [0, 1].map(|n| {
        let (near, mut board_end) = pipe(600);
        let (mut hub_end, far) = pipe(600);
        let _ = (&mut board_end, &mut hub_end);
        hub.attach_serial(far);
        let noise = |way| Noise::new(seed * 4 + n * 2 + way, NoiseRates::all(rate));
        (near, board_end, hub_end, [noise(0), noise(1)])
    });
    for board in &mut boards {
        board.connect(ms(0));
    }
    let mut posted = [0, 0];
    for turn in 0..400_000_u64 {
        let now = ms(turn);
        for (n, (near, board_end, hub_end, noises)) in lines.iter_mut().enumerate() {
            let board = &mut boards[n];
            if turn == 60_000 {
                noises
                    .iter_mut()
                    .for_each(|noise| noise.set_rates(NoiseRates::NONE));
            }
            if posted[n] < 40 && board.client.unacknowledged() < 4 {
                let body = format!("{n} {}", posted[n] + 1);
                if board.client.post(0, body.as_bytes()).is_ok() {
                    posted[n] += 1;
                }
            }
            board.turn(near, now).unwrap();
            // In mid-frame, as a rule, and the hub is not told.
            if turn < 60_000 && turn % (2_000 + 97 * seed + 1_009 * n as u64) == 1_999 {
                board.connect(now);
            }
            // 11 bytes in a millisecond: 115,200 baud.
            let [up, down] = noises;
            carry(board_end, hub_end, up);
            carry(hub_end, board_end, down);
        }
        hub.turn(now);
        let is_done =
            |n: usize| boards[n].acked.len() == 40 && boards[n].client.cursor(0) == hub.head("lab");
        if posted == [40, 40] && is_done(0) && is_done(1) {
            let faults = lines
                .iter()
                .flat_map(|line| &line.3)
                .map(|noise| noise.counts().faults());
            return (faults.sum(), boards);
        }
    }
    panic!(
        "seed {seed}: it does not drain: {:?}",
        boards.map(|board| (board.acked, board.client))
    );
}

fn carry(from: &mut End, to: &mut End, noise: &mut Noise) {
    let mut bytes = [0; 11];
    if from.read_ready().unwrap() {
        let n = from.read(&mut bytes).unwrap();
        let mut out = Vec::new();
        noise.pass(&bytes[..n], &mut out);
        // What finds no room is lost, as in a UART whose bytes nobody fetched.
        let _ = to.write(&out);
    }
}

#[test]
fn nothing_that_was_acknowledged_is_lost_or_doubled_over_a_noisy_line() {
    let mut sessions = 0;
    for seed in 0..200 {
        let (faults, boards) = run(seed, 2000);
        assert!(faults > 100, "{faults}");
        let [one, two] = &boards;
        sessions += one.sessions + two.sessions;
        assert_eq!(one.read, two.read, "seed {seed}");
        let offsets: Vec<u64> = one.read.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, (1..=80).collect::<Vec<u64>>(), "seed {seed}");
        for (n, board) in boards.iter().enumerate() {
            assert_eq!(board.acked, (1..=40).collect::<Vec<u32>>(), "seed {seed}");
            let own = format!("{n} ");
            let posts: Vec<_> = one
                .read
                .iter()
                .filter(|(_, body)| body.starts_with(own.as_bytes()))
                .collect();
            let wanted: Vec<_> = (1..=40).map(|k| format!("{n} {k}").into_bytes()).collect();
            assert!(
                posts.iter().map(|(_, body)| body).eq(&wanted),
                "seed {seed}: {posts:?}"
            );
        }
    }
    assert!(sessions > 500, "{sessions}");
}
