//! The device for hosts against the real hub: over cut connections, restarts, and peers that are
//! silent, refuse, or talk nonsense.

use std::io::{Read, Write};
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use halloo_core::wire::{self, Bye, ByeReason, Code, Joined, Message, PeerError, Welcome};
use halloo_std::client::{
    ClientError, Device, Ended, From, Happening, JoinError, MAX_BODY, PostError, PostId, Reconnect,
    Settings,
};
use halloo_std::hub::{HubConfig, Server, Shutdown};
use halloo_std::socket::{Options, SocketError, TcpListener};

/// Longer than anything here takes: a test that waits so long fails.
const LONG: Duration = Duration::from_secs(60);

/// A hub on a thread, stopped when dropped.
struct Hub {
    url: String,
    shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
}

impl Hub {
    fn start(listen: &str) -> Self {
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

    fn tcp() -> Self {
        Self::start("chat+tcp://127.0.0.1:0")
    }

    fn address(&self) -> SocketAddr {
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

/// Forwards connections, and cuts each after a random number of bytes while it is told to.
struct Proxy {
    url: String,
    state: Arc<ProxyState>,
    thread: Option<JoinHandle<()>>,
}

struct ProxyState {
    to: SocketAddr,
    is_cutting: AtomicBool,
    is_over: AtomicBool,
    random: AtomicU64,
    cuts: AtomicUsize,
    open: Mutex<Vec<net::TcpStream>>,
}

impl Proxy {
    fn start(to: SocketAddr, seed: u64) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("chat+tcp://{}", listener.local_addr().unwrap());
        let state = Arc::new(ProxyState {
            to,
            is_cutting: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
            random: AtomicU64::new(seed),
            cuts: AtomicUsize::new(0),
            open: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for device in listener.incoming() {
                if shared.is_over.load(Ordering::SeqCst) {
                    break;
                }
                shared.forward(device.unwrap());
            }
        });
        Self {
            url,
            state,
            thread: Some(thread),
        }
    }

    fn heal(&self) {
        self.state.is_cutting.store(false, Ordering::SeqCst);
        // Those that are on their way to a cut still get it.
    }

    fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            stream.shutdown(net::Shutdown::Both).ok();
        }
        let address = self.url.trim_start_matches("chat+tcp://");
        net::TcpStream::connect(address).ok();
        self.thread.take().unwrap().join().unwrap();
    }
}

impl ProxyState {
    fn forward(self: &Arc<Self>, device: net::TcpStream) {
        let hub = net::TcpStream::connect(self.to).unwrap();
        let budget = if self.is_cutting.load(Ordering::SeqCst) {
            self.next_random() % 3000
        } else {
            u64::MAX
        };
        let budget = Arc::new(AtomicU64::new(budget));
        let clone = |stream: &net::TcpStream| stream.try_clone().unwrap();
        self.open
            .lock()
            .unwrap()
            .extend([clone(&device), clone(&hub)]);
        for (from, to) in [(clone(&device), clone(&hub)), (hub, device)] {
            let (state, budget) = (Arc::clone(self), Arc::clone(&budget));
            thread::spawn(move || state.copy(from, to, &budget));
        }
    }

    fn copy(&self, mut from: net::TcpStream, mut to: net::TcpStream, budget: &AtomicU64) {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let before = budget
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    Some(left.saturating_sub(n as u64))
                })
                .unwrap();
            let passed = before.min(n as u64) as usize;
            if to.write_all(&bytes[..passed]).is_err() {
                break;
            }
            if passed < n {
                self.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
        }
        from.shutdown(net::Shutdown::Both).ok();
        to.shutdown(net::Shutdown::Both).ok();
    }

    fn next_random(&self) -> u64 {
        let step = |x: u64| x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let old = self
            .random
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |x| Some(step(x)));
        step(old.unwrap()) >> 33
    }
}

/// A hub that a test plays itself, for one connection after another.
struct Stage {
    url: String,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    fn play(scene: impl FnOnce(&net::TcpListener) + Send + 'static) -> Self {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("chat+tcp://{}", listener.local_addr().unwrap());
        let thread = Some(thread::spawn(move || scene(&listener)));
        Self { url, thread }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(panic) = self.thread.take().unwrap().join()
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn framed(message: &Message<'_>) -> Vec<u8> {
    let mut payload = [0; 1024];
    let len = wire::binary::encode(message, &mut payload).unwrap();
    let mut frame = u32::try_from(len).unwrap().to_be_bytes().to_vec();
    frame.extend(&payload[..len]);
    frame
}

fn read_frame(stream: &mut net::TcpStream) -> Vec<u8> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).unwrap();
    let mut payload = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut payload).unwrap();
    payload
}

/// Takes a connection, reads its `Hello` and says `Welcome`.
fn welcome(listener: &net::TcpListener) -> net::TcpStream {
    let (mut stream, _) = listener.accept().unwrap();
    let hello = read_frame(&mut stream);
    let Message::Hello(hello) = wire::binary::decode(&hello).unwrap().message else {
        panic!("no hello");
    };
    let welcome = Message::Welcome(Welcome {
        version: wire::VERSION,
        suite: 0,
        flags: 0,
        nonce: hello.nonce,
        session: 1,
        store: 1,
        generation: 1,
        keepalive: 60,
        max_body: 1024,
        window: 4,
        proof: &[],
    });
    stream.write_all(&framed(&welcome)).unwrap();
    stream
}

fn impatient(name: &str) -> Settings {
    Settings {
        longest_wait: Duration::from_millis(5),
        ..Settings::new(name)
    }
}

/// What happens next, within a time that is never over in a run that goes well.
#[track_caller]
fn next(device: &mut Device) -> Happening {
    device
        .next(LONG)
        .expect("the device goes on")
        .expect("something happens")
}

#[track_caller]
fn until<T>(device: &mut Device, wanted: impl Fn(&Happening) -> Option<T>) -> T {
    loop {
        if let Some(found) = wanted(&next(device)) {
            return found;
        }
    }
}

fn joined(happening: &Happening) -> Option<()> {
    matches!(happening, Happening::Joined { .. }).then_some(())
}

fn acked(happening: &Happening) -> Option<PostId> {
    match happening {
        Happening::Acked { post, .. } => Some(*post),
        _ => None,
    }
}

/// The next `count` entries by others, which stand one behind the other.
#[track_caller]
fn entries(device: &mut Device, count: usize, first: u64) -> Vec<Vec<u8>> {
    let mut expected = first;
    let mut bodies = Vec::new();
    while bodies.len() < count {
        match next(device) {
            Happening::Entry { offset, body, .. } => {
                assert_eq!(offset, expected);
                expected += 1;
                bodies.push(body);
            }
            gap @ Happening::Gap { .. } => panic!("{gap:?}"),
            _ => {}
        }
    }
    bodies
}

#[test]
fn every_acknowledged_post_arrives_once_over_connections_that_are_cut_anywhere() {
    const POSTS: usize = 300;
    let hub = Hub::tcp();
    let (from, to) = (
        Proxy::start(hub.address(), 7),
        Proxy::start(hub.address(), 11),
    );
    let start = |proxy: &Proxy, name: &str| {
        let endpoint = proxy.url.parse().unwrap();
        let mut device = Device::offline(endpoint, impatient(name)).unwrap();
        device.join("lab", From::Earliest).unwrap();
        until(&mut device, joined);
        device
    };
    let mut reader = start(&to, "reader");
    let poster_url = from.url.clone();
    let poster = thread::spawn(move || {
        let endpoint = poster_url.parse().unwrap();
        let mut device = Device::offline(endpoint, impatient("poster")).unwrap();
        device.join("lab", From::Latest).unwrap();
        let (mut posted, mut verdicts) = (Vec::new(), Vec::new());
        for number in 0..POSTS {
            let body = format!("{number} {}", "x".repeat(number % 90));
            posted.push(device.post_wait("lab", body.as_bytes(), LONG).unwrap());
            while let Some(happening) = device.next(Duration::ZERO).unwrap() {
                verdicts.extend(acked(&happening));
            }
        }
        device.flush(LONG).unwrap();
        while let Some(happening) = device.next(Duration::ZERO).unwrap() {
            verdicts.extend(acked(&happening));
        }
        assert_eq!(device.unacknowledged(), 0);
        (posted, verdicts)
    });
    let seen = entries(&mut reader, POSTS, 1);
    let (posted, verdicts) = poster.join().unwrap();
    assert_eq!(verdicts, posted);
    for (number, body) in seen.iter().enumerate() {
        let expected = format!("{number} {}", "x".repeat(number % 90));
        assert_eq!(String::from_utf8_lossy(body), expected);
    }
    assert!(
        from.cuts() > 5 && to.cuts() > 5,
        "{} and {} cuts",
        from.cuts(),
        to.cuts()
    );
    // Nothing more comes, once all is calm.
    from.heal();
    to.heal();
    let mut witness = Device::connect(&hub.url, Settings::new("witness")).unwrap();
    witness.join_wait("lab", From::Latest, LONG).unwrap();
    witness.post("lab", b"last").unwrap();
    witness.flush(LONG).unwrap();
    assert_eq!(
        entries(&mut reader, 1, POSTS as u64 + 1),
        [b"last".to_vec()]
    );
}

#[test]
fn a_restarted_hub_gets_the_open_posts_and_the_application_is_told_of_the_new_log() {
    let first = Hub::tcp();
    let url = first.url.clone();
    let mut device = Device::connect(&url, impatient("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    for body in [b"1", b"2", b"3"] {
        device.post("lab", body).unwrap();
    }
    device.flush(LONG).unwrap();
    drop(first);
    let lost = until(&mut device, |happening| match happening {
        Happening::Disconnected { cause, retry_in } => Some((cause.clone(), *retry_in)),
        _ => None,
    });
    assert!(
        matches!(lost, (Ended::Bye(ByeReason::Shutdown), Some(_))),
        "{lost:?}"
    );
    assert!(!device.is_connected());
    let open = [
        device.post("lab", b"4").unwrap(),
        device.post("lab", b"5").unwrap(),
    ];

    let second = Hub::start(&url);
    until(&mut device, |happening| {
        matches!(happening, Happening::Reconnected).then_some(())
    });
    until(&mut device, |happening| match happening {
        Happening::StoreChanged { room } => {
            assert_eq!(room, "lab");
            Some(())
        }
        Happening::Acked { .. } | Happening::Joined { .. } => panic!("{happening:?} came first"),
        _ => None,
    });
    let verdicts = [until(&mut device, acked), until(&mut device, acked)];
    assert_eq!(verdicts, open);
    let mut witness = Device::connect(&second.url, Settings::new("bob")).unwrap();
    witness.join("lab", From::Earliest).unwrap();
    assert_eq!(entries(&mut witness, 2, 1), [b"4".to_vec(), b"5".to_vec()]);
    device.bye(LONG).unwrap();
}

#[test]
fn what_is_posted_comes_to_the_others_whole_and_to_the_poster_as_a_marker() {
    let dir = tempfile::tempdir().unwrap();
    let hub = Hub::start(&format!(
        "chat+unix:{}",
        dir.path().join("hub.sock").display()
    ));
    let mut ann = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    let mut bob = Device::connect(&hub.url, Settings::new("bob")).unwrap();
    ann.join_wait("lab", From::Latest, LONG).unwrap();
    bob.join_wait("lab", From::Latest, LONG).unwrap();
    let post = ann.post("lab", b"hello").unwrap();
    let (mut is_acked, mut is_own) = (false, false);
    while !is_acked || !is_own {
        match next(&mut ann) {
            Happening::Acked { post: id, .. } => is_acked = id == post,
            Happening::Own { offset, .. } => is_own = offset == 1,
            _ => {}
        }
    }
    let entry = until(&mut bob, |happening| match happening {
        Happening::Entry { from, body, .. } => Some((from.to_string(), body.clone())),
        _ => None,
    });
    assert_eq!(entry, ("ann".into(), b"hello".to_vec()));
    bob.who("lab", 0);
    let names = until(&mut bob, |happening| match happening {
        Happening::Roster { names, members, .. } => Some((names.len(), *members)),
        _ => None,
    });
    assert_eq!(names, (2, 2));
    ann.bye(LONG).unwrap();
    until(&mut bob, |happening| {
        matches!(happening, Happening::Notice { who, members: 1, .. } if who == "ann").then_some(())
    });
    bob.echo(7, b"still there?");
    until(&mut bob, |happening| {
        matches!(happening, Happening::Echo { token: 7, bytes } if bytes == b"still there?")
            .then_some(())
    });
}

#[test]
fn a_post_that_cannot_be_taken_is_an_error_at_once() {
    let hub = Hub::tcp();
    let mut device = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    assert_eq!(device.post("lab", b"x"), Err(PostError::NotJoined));
    device.join_wait("lab", From::Latest, LONG).unwrap();
    assert_eq!(
        device.post("lab", &[0; MAX_BODY + 1]),
        Err(PostError::TooLarge)
    );
    assert_eq!(device.post("lab", &[0; 1025]), Err(PostError::TooLarge));
    let full = (0..100).find_map(|_| device.post("lab", &[0; 1024]).err());
    assert_eq!(full, Some(PostError::OutboxFull));
    device.post_wait("lab", &[0; 1024], LONG).unwrap();
    let again = device.join("lab", From::Latest);
    assert!(
        matches!(
            again,
            Err(ClientError::Join {
                source: JoinError::Again,
                ..
            })
        ),
        "{again:?}"
    );
    device.flush(LONG).unwrap();
}

#[test]
fn a_caller_that_polls_is_told_to_come_back_for_what_it_asked_for() {
    let hub = Hub::tcp();
    let mut device = Device::connect(&hub.url, Settings::new("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    while device.next(Duration::ZERO).unwrap().is_some() {}
    assert_ne!(device.poll_timeout(), Some(Duration::ZERO));
    assert!(device.poll_fd().is_some());
    device.post("lab", b"x").unwrap();
    assert_eq!(device.poll_timeout(), Some(Duration::ZERO));
}

#[test]
fn a_device_that_takes_over_a_name_ends_the_older_one_for_good() {
    let hub = Hub::tcp();
    let settings = || Settings {
        device: Some(*b"gateway no 00042"),
        ..impatient("gateway")
    };
    let mut older = Device::connect(&hub.url, settings()).unwrap();
    let newer = Device::connect(&hub.url, settings()).unwrap();
    let end = until(&mut older, |happening| match happening {
        Happening::Disconnected { cause, retry_in } => Some((cause.clone(), *retry_in)),
        _ => None,
    });
    assert!(
        matches!(end, (Ended::Bye(ByeReason::Replaced), None)),
        "{end:?}"
    );
    for _ in 0..2 {
        let error = older.next(LONG);
        assert!(
            matches!(
                error,
                Err(ClientError::Ended(Ended::Bye(ByeReason::Replaced)))
            ),
            "{error:?}"
        );
    }
    newer.bye(LONG).unwrap();
}

#[test]
fn a_listener_that_never_answers_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0", &Options::default()).unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let settings = Settings {
        handshake_timeout: Duration::from_millis(50),
        ..Settings::new("ann")
    };
    let error = Device::connect(&url, settings).unwrap_err();
    assert!(
        matches!(error, ClientError::Ended(Ended::NoWelcome)),
        "{error:?}"
    );
}

#[test]
fn a_listener_that_takes_no_connection_is_given_up() {
    // Linux drops further attempts once the queue of a listener is full.
    let options = Options {
        backlog: 0,
        ..Options::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0", &options).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queued.push(stream);
        assert!(queued.len() < 100, "the queue never fills");
    }
    let settings = Settings {
        connect_timeout: Duration::from_millis(50),
        ..Settings::new("ann")
    };
    let error = Device::connect(&format!("tcp://{address}"), settings).unwrap_err();
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**cause, SocketError::TimedOut { .. }), "{cause:?}");
}

#[test]
fn attempts_end_when_as_many_have_failed_as_the_settings_allow() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings = Settings {
        reconnect: Reconnect::AtMost(3),
        ..impatient("ann")
    };
    let endpoint = format!("chat+tcp://{address}").parse().unwrap();
    let mut device = Device::offline(endpoint, settings).unwrap();
    let waits: Vec<bool> = (0..3)
        .map(|_| match next(&mut device) {
            Happening::NotConnected { retry_in, .. } => retry_in.is_some(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(waits, [true, true, false]);
    let error = device.next(LONG).unwrap_err();
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**cause, SocketError::Refused { .. }), "{cause:?}");
}

#[test]
fn a_wait_that_the_hub_asks_for_is_kept() {
    const ASKED: Duration = Duration::from_secs(3600);
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        let bye = Message::Bye(Bye {
            reason: ByeReason::Shutdown,
            retry_after: ASKED.as_millis() as u32,
        });
        stream.write_all(&framed(&bye)).unwrap();
        // Until the device has closed.
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let mut device = Device::connect(&stage.url, impatient("ann")).unwrap();
    let Happening::Disconnected {
        retry_in: Some(wait),
        ..
    } = next(&mut device)
    else {
        panic!("no end that is told");
    };
    assert!(wait >= ASKED, "{wait:?}");
    // The wait is the device's, not the caller's.
    assert!(device.next(Duration::from_millis(1)).unwrap().is_none());
    assert!(device.poll_fd().is_none());
}

#[test]
fn a_hub_that_refuses_is_quoted() {
    let stage = Stage::play(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        read_frame(&mut stream);
        let error = Message::Error(PeerError {
            code: Code::NotAllowed,
            retry_after: 0,
            text: "not you",
        });
        stream.write_all(&framed(&error)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let error = Device::connect(&stage.url, Settings::new("ann")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the hub closed the session: not allowed: not you"
    );
}

#[test]
fn what_speaks_something_else_is_no_hub() {
    let stage = Stage::play(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let error = Device::connect(&stage.url, Settings::new("ann")).unwrap_err();
    assert!(
        matches!(error, ClientError::Ended(Ended::Violation(_))),
        "{error:?}"
    );
}

#[test]
fn a_flush_ends_in_time_though_the_hub_acknowledges_nothing() {
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        read_frame(&mut stream);
        let joined = Message::Joined(Joined {
            slot: 0,
            room: 0,
            up_seq: 0,
            rejects: 0,
            start: 0,
            head: 0,
            members: 1,
            presence: 1,
        });
        stream.write_all(&framed(&joined)).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let mut device = Device::connect(&stage.url, Settings::new("ann")).unwrap();
    device.join_wait("lab", From::Latest, LONG).unwrap();
    device.post("lab", b"x").unwrap();
    let outcome = device.flush(Duration::from_millis(20));
    assert!(matches!(outcome, Err(ClientError::TimedOut)), "{outcome:?}");
    assert_eq!(device.unacknowledged(), 1);
}

#[test]
fn frames_that_wait_in_the_buffer_are_not_slept_upon() {
    let stage = Stage::play(|listener| {
        let mut stream = welcome(listener);
        let mut bytes = framed(&Message::Pong { token: 0 }).repeat(100);
        let echo = Message::EchoReply {
            token: 1,
            bytes: b"news",
        };
        bytes.extend(framed(&echo));
        stream.write_all(&bytes).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    let settings = Settings {
        keepalive: Duration::ZERO,
        ..Settings::new("ann")
    };
    let mut device = Device::connect(&stage.url, settings).unwrap();
    let happening = next(&mut device);
    assert!(
        matches!(happening, Happening::Echo { token: 1, .. }),
        "{happening:?}"
    );
}

#[test]
fn an_address_or_a_name_that_cannot_be_is_an_error_before_anything_is_sent() {
    let connect = |url: &str, name: &str| Device::connect(url, Settings::new(name)).unwrap_err();
    for url in ["json+tcp://127.0.0.1:1", "chat+udp://127.0.0.1:1"] {
        let error = connect(url, "ann");
        assert!(matches!(error, ClientError::NotChat(_)), "{error:?}");
    }
    let error = connect("tcp//127.0.0.1", "ann");
    assert!(matches!(error, ClientError::Url(_)), "{error:?}");
    let error = connect("tcp://127.0.0.1:1", "a\nb");
    assert!(matches!(error, ClientError::Name { .. }), "{error:?}");
    let error = connect("tcp://no-such-host.invalid:1", "ann");
    let ClientError::Ended(Ended::Socket(cause)) = &error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(**cause, SocketError::Unresolved { .. }),
        "{cause:?}"
    );
}
