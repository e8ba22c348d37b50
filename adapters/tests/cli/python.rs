//! The device in plain Python, docs/device.py, against a real hub, with cuts in the middle.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::Signal;

use crate::data::serve;
use crate::process::{Hub, Running};

const DEVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/device.py");

/// Whether there is a Python; says so if there is none.
pub(crate) fn has_python() -> bool {
    let version = Command::new("python3").arg("--version").output();
    let has = version.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: there is no python3");
    }
    has
}

fn device(at: SocketAddr, name: &str) -> Running {
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    let mut command = Command::new("python3");
    Running::spawn(command.args(["-Bu", DEVICE, &host, &port, "lab", name]))
}

fn address(url: &str) -> SocketAddr {
    url.rsplit_once('/').unwrap().1.parse().unwrap()
}

/// A way to the hub that lets so many bytes of the hub through on each connection, and cuts it then.
struct Cutter {
    at: SocketAddr,
    hub: Arc<Mutex<SocketAddr>>,
    ends: Arc<AtomicBool>,
    accepts: Option<JoinHandle<()>>,
}

impl Cutter {
    /// `cuts` is for the first connections; those after them stay.
    fn start(hub: SocketAddr, cuts: &'static [u64]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let (hub, ends) = (Arc::new(Mutex::new(hub)), Arc::new(AtomicBool::new(false)));
        let (to, stop) = (Arc::clone(&hub), Arc::clone(&ends));
        let accepts = thread::spawn(move || {
            let mut cuts = cuts.iter().copied();
            loop {
                let (device, _) = listener.accept().unwrap();
                if stop.load(SeqCst) {
                    break;
                }
                let to = *to.lock().unwrap();
                if let Ok(hub) = TcpStream::connect(to) {
                    forward(device, hub, cuts.next().unwrap_or(u64::MAX));
                }
            }
        });
        Self {
            at,
            hub,
            ends,
            accepts: Some(accepts),
        }
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.ends.store(true, SeqCst);
        TcpStream::connect(self.at).ok();
        self.accepts.take().unwrap().join().ok();
    }
}

fn forward(device: TcpStream, hub: TcpStream, cut: u64) {
    let (mut from, mut to) = (device.try_clone().unwrap(), hub.try_clone().unwrap());
    thread::spawn(move || {
        io::copy(&mut from, &mut to).ok();
        to.shutdown(Shutdown::Both).ok();
    });
    thread::spawn(move || {
        io::copy(&mut (&hub).take(cut), &mut &device).ok();
        device.shutdown(Shutdown::Both).ok();
        hub.shutdown(Shutdown::Both).ok();
    });
}

/// What a device printed.
#[derive(Debug, Default)]
struct Printed {
    log: Vec<String>,
    acked: Vec<String>,
    lost: usize,
}

impl Printed {
    /// Reads until the log has so many entries and the device so many acks.
    #[track_caller]
    fn read(device: &Running, entries: usize, acks: usize) -> Self {
        let mut printed = Self::default();
        while printed.log.len() < entries || printed.acked.len() < acks {
            let line = device.out("");
            let (what, more) = line.split_once(' ').unwrap_or((&line, ""));
            match what {
                "joined" => {}
                "acked" => printed.acked.push(more.into()),
                "lost" => printed.lost += 1,
                offset => {
                    let next = printed.log.len() + 1;
                    assert_eq!(offset, next.to_string(), "not the next entry: {line}");
                    printed.log.push(more.into());
                }
            }
        }
        printed
    }

    fn from(&self, name: &str) -> Vec<&String> {
        let by = format!("entry b'{name}' ");
        let log = self.log.iter();
        log.filter(|line| line.starts_with(&by)).collect()
    }

    fn own(&self) -> usize {
        self.log.iter().filter(|line| *line == "own").count()
    }
}

fn ends_well(device: Running) {
    let ended = device.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, [""; 0], "something came twice, or late");
}

#[test]
fn two_python_devices_lose_and_double_nothing_where_connections_are_cut() {
    const POSTS: usize = 100;
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_hub, url) = serve(folder.path());
    let ways = [&[60, 90, 200, 700, 1500][..], &[130, 210, 400]]
        .map(|cuts| Cutter::start(address(&url), cuts));
    let names = ["ann", "bob"];
    let mut devices = [0, 1].map(|at| device(ways[at].at, names[at]));
    for n in 0..POSTS {
        for (device, name) in devices.iter_mut().zip(names) {
            device.say(&format!("{name} {n}"));
        }
    }
    let printed = devices
        .each_ref()
        .map(|device| Printed::read(device, 2 * POSTS, POSTS));
    for (at, name) in names.iter().enumerate() {
        let (mine, other) = (&printed[at], &printed[1 - at]);
        let posts = |what: &str| (0..POSTS).map(|n| format!("{what}b'{name} {n}'")).collect();
        let (acked, entries): (Vec<_>, Vec<_>) = (posts(""), posts(&format!("entry b'{name}' ")));
        assert_eq!(mine.acked, acked);
        assert_eq!(other.from(name), entries.iter().collect::<Vec<_>>());
        assert_eq!(mine.own(), POSTS);
    }
    assert_eq!([5, 3], printed.map(|printed| printed.lost));
    devices.into_iter().for_each(ends_well);
}

#[test]
fn a_python_device_and_halloo_chat_talk_on_after_the_hub_was_killed() {
    const POSTS: usize = 60;
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (hub, url) = serve(folder.path());
    let way = Cutter::start(address(&url), &[]);
    let url = format!("chat+tcp://{}", way.at);
    let chat = ["chat", &url, "-r", "lab", "-n", "bob", "--follow"];
    let mut bob = Running::start(&chat);
    bob.err("you are in lab");
    let mut ann = device(way.at, "ann");
    for n in 0..POSTS / 2 {
        ann.say(&n.to_string());
    }
    ann.out("acked b'9'");
    hub.signal(Signal::KILL);
    hub.wait();
    let _hub = restarted(&way, folder.path());
    for n in POSTS / 2..POSTS {
        ann.say(&n.to_string());
    }
    for n in 0..POSTS {
        assert_eq!(bob.out(""), format!("[lab] ann: {n}"));
    }
    bob.say("all of it");
    ann.out(&format!("{} entry b'bob' b'all of it'", POSTS + 1));
    ends_well(ann);
}

fn restarted(way: &Cutter, folder: &Path) -> Running {
    let (hub, url) = serve(folder);
    *way.hub.lock().unwrap() = address(&url);
    hub
}

#[test]
fn a_python_device_that_was_replaced_stays_away() {
    // [S-BYE-6]
    if !has_python() {
        return;
    }
    let hub = Hub::tcp();
    let at = address(hub.url());
    let code = "import device\n\
                ann = device.Device('127.0.0.1', PORT, 'lab', 'ann', identity=b'thermometer-0017')\n\
                while True: ann.poll(1)\n";
    let start = || script(&code.replace("PORT", &at.port().to_string()));
    let older = start();
    older.out("joined");
    let newer = start();
    newer.out("joined");
    let ended = older.wait();
    assert_eq!(
        (ended.code, &*ended.err),
        (Some(1), &["Bye 3 from the hub".into()][..])
    );
}

#[test]
fn a_python_device_gives_up_a_room_that_is_refused() {
    // [D-JOIN-11]
    if !has_python() {
        return;
    }
    let hub = Hub::tcp();
    let at = address(hub.url());
    let mut command = Command::new("python3");
    let port = at.port().to_string();
    let ended = Running::spawn(command.args([DEVICE, "127.0.0.1", &port, "LAB", "ann"])).wait();
    let told = "the room is refused with code 9";
    assert_eq!((ended.code, &*ended.err), (Some(1), &[told.into()][..]));
}

/// Runs `code` where it can import the device.
fn script(code: &str) -> Running {
    let mut command = Command::new("python3");
    command.args(["-uc", code]);
    command.env("PYTHONPATH", Path::new(DEVICE).parent().unwrap());
    Running::spawn(command.env("PYTHONDONTWRITEBYTECODE", "1"))
}

#[test]
fn a_python_device_is_told_of_a_post_that_is_too_large_and_goes_on_without_it() {
    // [D-POST-8]
    if !has_python() {
        return;
    }
    let hub = Hub::tcp();
    let mut ann = device(address(hub.url()), "ann");
    // All at once, so that some are on the way when it comes to the large one.
    ann.say(&format!("first\nsecond\n{}\nlast", "x".repeat(2000)));
    let ended = ann.wait();
    assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    let told = |what: &str| {
        let told = ended.out.iter().filter_map(|line| line.strip_prefix(what));
        told.map(|body| &body[..6]).collect::<Vec<_>>()
    };
    assert_eq!(told("acked "), ["b'firs", "b'seco", "b'last"]);
    assert_eq!(told("rejected "), ["b'xxxx"]);
}

#[test]
fn a_python_device_counts_right_when_its_program_fails_at_what_it_is_told() {
    // [D-ACK-2]
    if !has_python() {
        return;
    }
    let code = "import device\n\
                def tell(what, body):\n\
                \x20   print(what, body)\n\
                \x20   if fails.pop(): raise RuntimeError\n\
                ann = device.Device('127.0.0.1', 1, 'lab', 'ann', tell)\n\
                for body in b'0', b'1', b'2': ann.post(body)\n\
                ann.sent, fails = 3, [False, True]\n\
                try: ann.verdicts(2, 0)\n\
                except RuntimeError: ann.verdicts(2, 0)\n\
                print(ann.up_seq, ann.sent, list(ann.outbox))\n";
    let ended = script(code).wait();
    let told = ["acked b'0'", "acked b'1'", "2 1 [b'2']"];
    assert_eq!(ended.out, told, "{ended:?}");
}

#[test]
fn a_python_device_takes_an_identity_of_16_bytes_alone() {
    if !has_python() {
        return;
    }
    let code = "import device\n\
                for identity in b'thermometer-17', b'thermometer-00017':\n\
                \x20   try: device.Device('127.0.0.1', 1, 'lab', 'ann', identity=identity)\n\
                \x20   except ValueError as why: print(why)\n";
    let ended = script(code).wait();
    assert_eq!(ended.out, ["an identity has 16 bytes"; 2], "{ended:?}");
}
