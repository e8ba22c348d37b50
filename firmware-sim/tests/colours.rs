//! Colours: on a terminal alone, and not even there for whoever wants none.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const END: &[u8] = b"<the end>";

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firmware-sim"));
    command
        .args(args)
        .stdin(Stdio::null())
        .env_clear()
        .env("TERM", "xterm");
    command
}

/// What a terminal gets of a command.
fn shown(mut command: Command) -> Vec<u8> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let screen = openpt(flags).unwrap();
    grantpt(&screen).unwrap();
    unlockpt(&screen).unwrap();
    let name = ptsname(&screen, Vec::new()).unwrap();
    let mut line = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(name.to_str().unwrap())
        .unwrap();
    let end = || line.try_clone().unwrap();
    let mut child = command.stdout(end()).stderr(end()).spawn().unwrap();
    let waiter = std::thread::spawn(move || {
        let status = child.wait().unwrap();
        line.write_all(END).unwrap();
        // Whoever closes it first takes along what was not read.
        (status, line)
    });
    let (mut screen, mut all, mut piece) = (File::from(screen), Vec::new(), [0; 4096]);
    while !all.ends_with(END) {
        let len = screen.read(&mut piece).unwrap();
        all.extend_from_slice(&piece[..len]);
    }
    assert!(waiter.join().unwrap().0.success());
    all
}

/// Whether the bytes choose a colour or a style; to move the cursor is neither.
fn is_styled(bytes: &[u8]) -> bool {
    let escapes = bytes.split(|&byte| byte == 0x1b).skip(1);
    escapes
        .filter_map(|rest| rest.strip_prefix(b"["))
        .any(|rest| rest.iter().find(|b| b.is_ascii_alphabetic()) == Some(&b'm'))
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set_and_a_pipe_gets_none() {
    let run = "--devices 2 --seconds 0.2 --log debug"
        .split(' ')
        .collect::<Vec<_>>();
    for args in [&["--help"][..], &["world", "--help"], &run] {
        assert!(is_styled(&shown(program(args))), "{args:?}");
        let mut without = program(args);
        without.env("NO_COLOR", "1");
        let all = shown(without);
        assert!(!is_styled(&all), "{args:?}: {}", all.escape_ascii());
        let mut dumb = program(args);
        dumb.env("TERM", "dumb").env("CI", "true");
        let all = shown(dumb);
        assert!(!all.contains(&0x1b), "{args:?}: {}", all.escape_ascii());
        let mut forced = program(args);
        let piped = forced.env("CLICOLOR_FORCE", "1").output().unwrap();
        for bytes in [piped.stdout, piped.stderr] {
            assert!(!bytes.contains(&0x1b), "{args:?}");
        }
    }
}
