//! What images log, decoded with the symbols of their ELF.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::board::Settings;
use super::{Board, images, report};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The lines that a board has logged so far.
pub(crate) fn decoded(images: &Path, board: &Board) -> Vec<String> {
    let print = images.join("../tools/bin/defmt-print");
    let mut print = Command::new(print)
        .args(["--log-format", "{t} {L} {s}", "-e"])
        .arg(board.elf())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It ends with its input.
    print.stdin.take().unwrap().write_all(&board.log()).unwrap();
    let out = print.wait_with_output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Waits for a line with that in it.
#[track_caller]
pub(crate) fn wait_for(images: &Path, board: &Board, wanted: &str) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = decoded(images, board);
        if lines.iter().any(|line| line.contains(wanted)) {
            return lines;
        }
        assert!(Instant::now() < end, "no `{wanted}` in {lines:#?}");
    }
}

#[test]
fn what_each_kind_of_message_costs_a_board_is_known() {
    let Some(images) = images() else { return };
    let settings = Settings {
        counts_instructions: true,
        ..Settings::default()
    };
    let (board, _) = Board::start_with(images, "cost-log", settings);
    let lines = wait_for(images, &board, "cost is known");
    assert!(
        !lines.iter().any(|line| line.contains("ERROR")),
        "{lines:#?}"
    );
    let mut kinds = 0;
    for line in &lines {
        if let Some((_, cost)) = line.split_once("cost of ") {
            let (kind, instructions) = cost.rsplit_once(": ").unwrap();
            let instructions: usize = instructions.parse().unwrap();
            assert!(instructions > 0, "{line}");
            report("cost", &kind.replace(' ', "_"), instructions);
            kinds += 1;
        }
    }
    assert_eq!(kinds, 11, "{lines:#?}");
}

#[test]
fn what_somebody_looks_for_in_a_log_prints_as_it_is_called() {
    let Some(images) = images() else { return };
    let (board, _) = Board::start(images, "cost-log", 0);
    let lines = wait_for(images, &board, "all is printed");
    let printed = lines.iter().filter_map(|line| line.split_once("prints "));
    let printed: Vec<_> = printed.map(|(_, text)| text).collect();
    let expected = [
        "Client { base: Base { welcomed: false, closed: None,",
        "Link { rx: Decoder {",
        "Welcome(Welcome { version: 1, suite: 0,",
        "Closed { cause: Bye(Replaced) }",
        "OutboxFull",
        "Stalled",
        "Oversize { limit: 256 }",
        "UnknownKind(255)",
        "Backoff {",
        "Config { ",
        "Room { name: ",
        "Counters { ",
        "Responder { state: Echoing {",
    ];
    assert_eq!(printed.len(), expected.len(), "{printed:#?}");
    let all = printed.concat();
    assert!(
        all.contains("buf: 281 bytes") && !all.contains("secret"),
        "{all}"
    );
    for (text, expected) in printed.iter().zip(expected) {
        println!("{text}");
        assert!(text.starts_with(expected), "{text} is not {expected}");
    }
}
