//! Boards in QEMU: an image, its serial lines on loopback ports, and its reset button.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

/// What cortex-m-rt paints the stack with before the program starts.
const PAINT: [u8; 4] = 0xcccc_cccc_u32.to_le_bytes();

/// Where the images are, built; `None`, and a line that says so, where this machine has no QEMU for Arm.
pub fn images() -> Option<&'static Path> {
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
    assert!(built.unwrap().success(), ".ci/firmware build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(top.join("target"), PathBuf::from);
    Some(target.join("firmware"))
}

/// How a board is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// How many of its UARTs are connected.
    pub uarts: usize,
    /// Its time is the number of instructions: 1 ns each.
    pub counts_instructions: bool,
}

/// A board that runs; it is gone when this is dropped, or when the thread that started it is.
#[derive(Debug)]
pub struct Board {
    qemu: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    image: PathBuf,
    files: TempDir,
}

impl Board {
    /// Starts a board with that image and so many of its UARTs, whose other ends come back.
    pub fn start(images: &Path, name: &str, uarts: usize) -> (Self, Vec<TcpStream>) {
        let settings = Settings {
            uarts,
            ..Settings::default()
        };
        Self::start_with(images, name, settings)
    }

    /// Starts a board that is set up otherwise.
    pub fn start_with(images: &Path, name: &str, settings: Settings) -> (Self, Vec<TcpStream>) {
        let image = images.join(name);
        let files = TempDir::new().unwrap();
        let listeners: Vec<TcpListener> = (0..settings.uarts)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        // The thread's end is QEMU's end too, however that comes.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-arm"]);
        qemu.args(["-cpu", "cortex-m3", "-machine", "lm3s6965evb"]);
        qemu.args(["-display", "none", "-monitor", "none", "-qmp", "stdio"]);
        if settings.counts_instructions {
            qemu.args(["-icount", "shift=0,sleep=off"]);
        }
        for listener in &listeners {
            let port = listener.local_addr().unwrap().port();
            qemu.args(["-serial", &format!("tcp:127.0.0.1:{port},nodelay=on")]);
        }
        let log = files.path().join("log");
        qemu.arg("-chardev");
        qemu.arg(format!("file,id=log,path={}", log.display()));
        qemu.args(["-semihosting-config", "enable=on,target=native,chardev=log"]);
        qemu.arg("-kernel").arg(image.with_extension("bin"));
        let mut qemu = qemu
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut board = Self {
            commands: qemu.stdin.take().unwrap(),
            answers: BufReader::new(qemu.stdout.take().unwrap()),
            qemu,
            image,
            files,
        };
        board.say(&json!({"execute": "qmp_capabilities"}));
        let lines = listeners.iter().map(|listener| {
            let (line, _) = listener.accept().unwrap();
            line.set_nodelay(true).unwrap();
            line
        });
        let lines = lines.collect();
        (board, lines)
    }

    /// Presses the reset button, in the middle of whatever the program does.
    pub fn reset(&mut self) {
        self.say(&json!({"execute": "system_reset"}));
    }

    /// The bytes of memory from `at` on.
    pub fn memory(&mut self, at: u32, len: u32) -> Vec<u8> {
        let file = self.files.path().join("memory");
        self.say(&json!({
            "execute": "pmemsave",
            "arguments": {"val": at, "size": len, "filename": file},
        }));
        fs::read(file).unwrap()
    }

    /// The most bytes of stack that the program has used.
    pub fn stack(&mut self) -> usize {
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
    pub fn log(&self) -> Vec<u8> {
        fs::read(self.files.path().join("log")).unwrap_or_default()
    }

    /// The image with its symbols.
    pub fn elf(&self) -> PathBuf {
        self.image.with_extension("elf")
    }

    fn say(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").unwrap();
        loop {
            let mut line = String::new();
            self.answers.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap();
            assert!(answer.get("error").is_none(), "{command}: {line}");
            // What QEMU tells unasked is not the answer.
            if answer.get("return").is_some() {
                return;
            }
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
