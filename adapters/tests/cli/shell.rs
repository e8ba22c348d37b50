//! Completions and manual pages.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::process::{Running, fed};

const COMMANDS: [&str; 9] = [
    "serve",
    "chat",
    "echo",
    "log",
    "connect",
    "get",
    "ping",
    "completions",
    "man",
];

#[test]
fn each_shell_gets_completions_for_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = fed(&["completions", shell], b"");
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(fed(&["completions", "cmd"], b"").status.code(), Some(2));
}

#[test]
fn bash_completes_a_command_and_an_option() {
    let script = fed(&["completions", "bash"], b"").stdout;
    let mut command = Command::new("bash");
    let command = command
        .arg("--norc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let Ok(mut bash) = command.spawn() else {
        eprintln!("skipped: there is no bash");
        return;
    };
    let mut stdin = bash.stdin.take().unwrap();
    stdin.write_all(&script).unwrap();
    for (words, at) in [
        ("halloo conn", 1),
        ("halloo connect --cr", 2),
        ("halloo connect --li", 2),
        ("halloo log ver", 2),
    ] {
        let last = words.split(' ').next_back().unwrap();
        let before = words.split(' ').nth(at - 1).unwrap();
        writeln!(
            stdin,
            "\nCOMP_WORDS=({words}); COMP_CWORD={at}; _halloo halloo '{last}' {before}; \
             echo \"${{COMPREPLY[@]}}\""
        )
        .unwrap();
    }
    drop(stdin);
    let output = bash.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "connect\n--crlf\n--listen\nverify\n"
    );
}

#[test]
fn the_shells_that_are_here_find_no_mistake_in_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = fed(&["completions", shell], b"").stdout;
        let mut command = Command::new(shell);
        let command = command.arg("-n").stdin(Stdio::piped());
        let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
            eprintln!("skipped: there is no {shell}");
            continue;
        };
        child.stdin.take().unwrap().write_all(&script).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell}: {output:?}");
        assert_eq!(output.stderr, b"", "{shell}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command_and_for_all() {
    let page = |args: &[&str]| {
        let output = fed(args, b"");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = page(&["man"]);
    assert!(all.contains(".TH halloo 1"), "{all}");
    for command in COMMANDS {
        assert!(
            all.contains(&format!("halloo\\-{command}(1)")),
            "{command}: {all}"
        );
        let one = page(&["man", command]);
        assert!(one.contains(&format!(".TH halloo-{command} 1")), "{one}");
        assert!(one.contains(&format!("\\fBhalloo {command}\\fR")), "{one}");
    }
    let log = page(&["man", "log"]);
    for command in ["verify", "dump", "repair"] {
        assert!(
            log.contains(&format!("halloo\\-log\\-{command}(1)")),
            "{log}"
        );
        let one = page(&["man", "log", command]);
        assert!(
            one.contains(&format!(".TH halloo-log-{command} 1")),
            "{one}"
        );
    }
    for (words, said) in [
        (
            &["man", "shout"][..],
            "there is no command \"shout\": see halloo --help",
        ),
        (
            &["man", "log", "shout"],
            "there is no command \"shout\": see halloo log --help",
        ),
    ] {
        let ended = Running::start(words).wait();
        assert_eq!(ended.code, Some(2));
        assert!(ended.err[0].contains(said), "{ended:?}");
    }
}
