//! Boards in QEMU: an image, its serial lines on loopback ports, and its reset button.

use std::fs;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What cortex-m-rt paints the stack with before the program starts.
const PAINT: [u8; 4] = 0xcccc_cccc_u32.to_le_bytes();

/// Where the images are, built; `None`, and a line that says so, where this machine
/// has no QEMU or no compiler for Arm.
pub(crate) fn images() -> Option<&'static Path> {
    static IMAGES: OnceLock<Option<PathBuf>> = OnceLock::new();
    IMAGES.get_or_init(built).as_deref()
}

fn built() -> Option<PathBuf> {
    let has_qemu = Command::new("qemu-system-arm").arg("--version").output();
    if has_qemu.is_err() {
        eprintln!("not tested: qemu-system-arm is not installed (Debian's package of that name)");
        return None;
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new(top.join(".ci/firmware")).arg("build").status();
    let built = built.unwrap();
    if built.code() == Some(3) {
        eprintln!(
            "not tested: there is no compiler for a Cortex-M3 (rustup target add thumbv7m-none-eabi)"
        );
        return None;
    }
    assert!(built.success(), ".ci/firmware build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(top.join("target"), PathBuf::from);
    Some(target.join("firmware"))
}

/// How a board is set up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Settings {
    /// How many of its UARTs are connected.
    pub(crate) uarts: usize,
    /// Its time is the number of instructions: 1 ns each.
    pub(crate) counts_instructions: bool,
}

/// A board that runs; it is gone when this is dropped, or when the thread that started it is.
#[derive(Debug)]
pub(crate) struct Board {
    qemu: Child,
    /// QEMU's monitor.
    monitor: BufReader<UnixStream>,
    image: PathBuf,
    files: TempDir,
}

impl Board {
    /// Starts a board with that image and so many of its UARTs, whose other ends come back.
    pub(crate) fn start(images: &Path, name: &str, uarts: usize) -> (Self, Vec<TcpStream>) {
        let settings = Settings {
            uarts,
            ..Settings::default()
        };
        Self::start_with(images, name, settings)
    }

    /// Starts a board that is set up otherwise.
    pub(crate) fn start_with(
        images: &Path,
        name: &str,
        settings: Settings,
    ) -> (Self, Vec<TcpStream>) {
        let image = images.join(name);
        let files = TempDir::new().unwrap();
        let listeners: Vec<TcpListener> = (0..settings.uarts)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        // The thread's end is QEMU's end too, however that comes.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-arm"]);
        qemu.args(["-cpu", "cortex-m3", "-machine", "lm3s6965evb"]);
        qemu.args(["-display", "none", "-monitor", "none"]);
        let path = files.path().join("monitor");
        let monitor = UnixListener::bind(&path).unwrap();
        qemu.arg("-qmp").arg(format!("unix:{}", path.display()));
        if settings.counts_instructions {
            qemu.args(["-icount", "shift=0,sleep=off"]);
        }
        for listener in &listeners {
            let port = listener.local_addr().unwrap().port();
            qemu.args(["-serial", &format!("tcp:127.0.0.1:{port},nodelay=on")]);
        }
        // What goes out by semihosting is QEMU's standard output.
        qemu.args(["-semihosting-config", "enable=on,target=native"]);
        qemu.arg("-kernel").arg(image.with_extension("bin"));
        let log = File::create(files.path().join("log")).unwrap();
        let mut qemu = qemu.stdin(Stdio::null()).stdout(log).spawn().unwrap();
        wait(&monitor, &mut qemu);
        let accepted = monitor.accept().unwrap().0;
        let mut board = Self {
            qemu,
            monitor: BufReader::new(accepted),
            image,
            files,
        };
        board.say(&json!({"execute": "qmp_capabilities"}));
        let connected = |listener: &TcpListener| {
            wait(listener, &mut board.qemu);
            let (line, _) = listener.accept().unwrap();
            line.set_nodelay(true).unwrap();
            line
        };
        let lines = listeners.iter().map(connected).collect();
        (board, lines)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.qemu.id()
    }

    /// Presses the reset button, in the middle of whatever the program does.
    pub(crate) fn reset(&mut self) {
        self.say(&json!({"execute": "system_reset"}));
    }

    /// The bytes of memory from `at` on.
    pub(crate) fn memory(&mut self, at: u32, len: u32) -> Vec<u8> {
        let file = self.files.path().join("memory");
        self.say(&json!({
            "execute": "pmemsave",
            "arguments": {"val": at, "size": len, "filename": file},
        }));
        fs::read(file).unwrap()
    }

    /// The most bytes of stack that the program has used.
    pub(crate) fn stack(&mut self) -> usize {
        let layout = fs::read_to_string(self.image.with_extension("stack")).unwrap();
        let find = |name: &str| {
            let mut words = layout.split_whitespace().skip_while(|word| *word != name);
            u32::from_str_radix(words.nth(1).unwrap(), 16).unwrap()
        };
        let (end, start) = (find("_stack_end"), find("_stack_start"));
        let memory = self.memory(end, start - end);
        let clean = memory.chunks(4).take_while(|word| *word == PAINT).count();
        assert!(clean > 0, "the stack has run over its end");
        memory.len() - clean * 4
    }

    /// What the program has logged so far, not decoded.
    pub(crate) fn log(&self) -> Vec<u8> {
        fs::read(self.files.path().join("log")).unwrap_or_default()
    }

    /// The image with its symbols.
    pub(crate) fn elf(&self) -> PathBuf {
        self.image.with_extension("elf")
    }

    fn say(&mut self, command: &Value) {
        writeln!(self.monitor.get_mut(), "{command}").unwrap();
        loop {
            let mut line = String::new();
            self.monitor.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{command}: {line}");
            // What QEMU tells unasked is not the answer.
            if answer.get("return").is_some() {
                return;
            }
        }
    }
}

/// Waits until QEMU connects, which one that could not start does not.
fn wait(listener: &impl AsFd, qemu: &mut Child) {
    let tenth = Timespec {
        tv_sec: 0,
        tv_nsec: 100_000_000,
    };
    let mut ready = [PollFd::new(listener, PollFlags::IN)];
    while poll(&mut ready, Some(&tenth)).unwrap() == 0 {
        let ended = qemu.try_wait().unwrap();
        assert!(ended.is_none(), "QEMU did not start: {ended:?}");
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
