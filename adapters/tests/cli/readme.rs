//! The commands of the README, as they stand there but for the ports.

use crate::process::{Hub, Running};

const README: &str = include_str!("../../../README.md");

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
    let [serve, chat, datagrams, echo] = &commands()[..] else {
        panic!("the README has other commands: test them too");
    };
    assert_eq!((&*serve[0], &*serve[1]), ("serve", "--listen"));
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
