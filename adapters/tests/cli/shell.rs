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
    for (words, at) in [("halloo conn", 1), ("halloo connect --cr", 2)] {
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
        "connect\n--crlf\n"
    );
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
    let ended = Running::start(&["man", "shout"]).wait();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err[0].contains("there is no command \"shout\""),
        "{ended:?}"
    );
}
