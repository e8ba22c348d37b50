//! What documents say of commands and tests, held against both.

use std::fs;
use std::path::Path;

use halloo_std::url::{Endpoint, Protocol};

use crate::process::{Hub, Running};

const README: &str = include_str!("../../../README.md");
const SOCKETS: &str = include_str!("../../../docs/sockets.md");

/// What follows the package in each command that runs `halloo`.
fn commands() -> Vec<Vec<String>> {
    let start = "cargo run --release -p halloo-std -- ";
    let one_line_each = README.replace("\\\n", "");
    let lines = one_line_each
        .lines()
        .filter_map(|line| line.strip_prefix(start));
    lines
        .map(|args| args.split_whitespace().map(str::to_owned).collect())
        .collect()
}

#[test]
fn the_commands_of_the_readme_work_together() {
    let [serve, chat, datagrams, echo, preset] = &commands()[..] else {
        panic!("the README has other commands: test them too");
    };
    assert_eq!((&*serve[0], &*serve[1]), ("serve", "--listen"));
    // `tutorials` has it served, at free ports.
    assert_eq!(preset[..2], ["serve", "--config"]);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    assert!(
        top.join(&preset[2])
            .ends_with("adapters/examples/tutorials.toml")
    );
    let listens: Vec<String> = serve
        .iter()
        .filter(|arg| arg.contains("://"))
        .cloned()
        .collect();
    let free: Vec<String> = listens
        .iter()
        .map(|url| format!("{}:0", url.rsplit_once(':').unwrap().0))
        .collect();
    let hub = Hub::start(&free.iter().map(String::as_str).collect::<Vec<_>>());
    let with_ports = |command: &[String]| -> Vec<String> {
        let port = |arg: &String| {
            let nth = listens.iter().position(|url| url == arg);
            nth.map_or_else(|| arg.clone(), |nth| hub.urls[nth].clone())
        };
        command.iter().map(port).collect()
    };
    let run = |command: &[String]| {
        let args = with_ports(command);
        assert_ne!(args, command, "it names no listener of the hub");
        Running::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for chat in [chat, datagrams] {
        let member = run(chat);
        member.err("you are in lab");
    }
    let echo = run(echo);
    echo.out("bytes back");
}

/// The rows of the first table of docs/sockets.md, each as the code in its cells.
fn rows() -> Vec<[Vec<&'static str>; 4]> {
    let table = SOCKETS.split("\n## ").nth(1).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let cells = rows.skip(2).map(|row| {
        let mut cells = row.trim_matches('|').split('|');
        [(); 4].map(|()| {
            cells
                .next()
                .unwrap()
                .split('`')
                .skip(1)
                .step_by(2)
                .collect()
        })
    });
    cells.collect()
}

#[test]
fn each_listener_of_the_readme_is_one() {
    let table = README.split("| listener | is |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "));
    let urls: Vec<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .collect();
    assert!(urls.len() > 8, "{urls:?}");
    for url in urls {
        assert!(url.parse::<Endpoint>().is_ok(), "{url}");
    }
}

#[test]
fn each_row_of_the_table_of_sockets_names_tests_that_are_there() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = rows();
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        assert!(!row[3].is_empty(), "{row:?} names no test");
        for test in &row[3] {
            let Some((module, name)) = test.split_once("::") else {
                assert!(top.join(test).exists(), "there is no {test}");
                continue;
            };
            let folder = match module {
                "json_chat" => "tests/tests",
                _ => "adapters/tests/cli",
            };
            let text = fs::read_to_string(top.join(folder).join(module).with_extension("rs"));
            let is_there = text.is_ok_and(|text| text.contains(&format!("\nfn {name}() {{")));
            assert!(is_there, "there is no test {test}");
        }
    }
}

/// The words of a command, without the quotes around some.
fn words(command: &str) -> Vec<&str> {
    let parts = command.split('\'').enumerate();
    let words = parts.flat_map(|(nth, part)| match nth % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    words.collect()
}

#[test]
fn each_command_of_the_table_of_sockets_is_one() {
    let adapters = Path::new(env!("CARGO_MANIFEST_DIR"));
    for command in rows().into_iter().flat_map(|row| row[1].clone()) {
        let words = words(command);
        match words[..] {
            ["halloo", name, ..] => {
                let help = Running::start(&[name, "--help"]).wait();
                assert_eq!(help.code, Some(0), "{command}");
            }
            ["cargo", "run", "--example", name] => {
                let files = [format!("{name}.rs"), format!("{name}/main.rs")];
                let exists = |file| adapters.join("examples").join(file).exists();
                assert!(files.into_iter().any(exists), "{command}");
            }
            ["python3", script, ..] => assert!(adapters.join("..").join(script).exists()),
            // An option by itself, or what is typed.
            [word, ..] => assert!(word.starts_with(['-', '/', '{']), "{command}"),
            [] => panic!("an empty command"),
        }
        let urls = words
            .iter()
            .filter(|word| word.contains("+tcp://") || word.contains("+udp://"));
        for url in urls {
            assert!(Endpoint::parse(url, Protocol::Chat).is_ok(), "{command}");
        }
    }
}
