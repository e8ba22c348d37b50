//! People at terminals: what they type, what they see, and what they are left with.

use rustix::process::Signal;

use crate::process::{Hub, Running};
use crate::terminal::Terminal;

fn at_terminal(url: &str, name: &str) -> Terminal {
    // Nothing here may end because time is over.
    let args = ["chat", url, "-r", "lab", "-n", name, "--timeout", "3600"];
    let mut terminal = Terminal::start(&args, &[]);
    terminal.shows_part("-- you are in lab");
    terminal.ends_in("lab>");
    terminal
}

#[test]
fn two_people_see_what_each_other_says() {
    let hub = Hub::tcp();
    let mut ann = at_terminal(hub.url(), "ann");
    let mut bob = at_terminal(hub.url(), "bob");
    ann.shows("-- bob came to lab, 2 here");
    ann.types("hello bob\r");
    bob.shows("[lab] ann: hello bob");
    ann.shows("[lab] ann: hello bob ✓");
    bob.types("grüße, ann\r");
    ann.shows("[lab] bob: grüße, ann");
    bob.types("/who\r");
    bob.shows("-- in lab: ann, bob");
    bob.types("/join den\r");
    bob.ends_in("den>");
    bob.types("alone\r");
    bob.shows("[den] bob: alone ✓");
    bob.types("/leave\r");
    bob.shows("-- you have left den, and post in lab now");
    bob.ends_in("lab>");
    bob.types("/help\r");
    bob.shows_part("-- /quit");
    bob.types("/dance\r");
    bob.shows("-- /dance is no command: /help lists them");
    bob.types("/quit\r");
    assert_eq!(bob.wait(), Some(0));
    bob.is_restored();
    ann.shows("-- bob left lab, 1 here");
    // Ctrl-D.
    ann.types("\x04");
    assert_eq!(ann.wait(), Some(0));
    ann.is_restored();
}

#[test]
fn a_line_that_comes_in_leaves_what_is_being_typed_whole() {
    let hub = Hub::tcp();
    let mut ann = at_terminal(hub.url(), "ann");
    let mut other = Running::start(&["chat", hub.url(), "-r", "lab", "-n", "bob"]);
    ann.shows_part("bob came to lab");
    ann.types("half a");
    ann.ends_in("lab> half a");
    for number in 0..10 {
        other.say(&format!("line {number}"));
    }
    ann.shows("[lab] bob: line 9");
    ann.ends_in("lab> half a");
    let rows = ann.rows();
    let seen: Vec<_> = rows.iter().filter(|row| row.contains("line ")).collect();
    let expected: Vec<_> = (0..10).map(|n| format!("[lab] bob: line {n}")).collect();
    assert_eq!(seen, expected.iter().collect::<Vec<_>>());
    assert_eq!(
        rows.iter().filter(|row| row.contains("half")).count(),
        1,
        "{rows:#?}"
    );
    // Edited where it was left: back over " a", and on.
    ann.types("\x7f\x7f a line\r");
    other.out("[lab] ann: half a line");
}

/// The terminal's own way of ending the input, in place of the editor's.
#[test]
fn what_is_typed_before_the_prompt_counts_and_ctrl_d_ends() {
    let hub = Hub::start(&["chat+tcp://127.0.0.1:0", "json+tcp://127.0.0.1:0"]);
    let other = Running::start(&["chat", &hub.urls[0], "-r", "lab", "-n", "bob", "--follow"]);
    other.err("you are in lab");
    for url in &hub.urls {
        let args = ["chat", url, "-r", "lab", "-n", "ann", "--timeout", "3600"];
        let mut ann = Terminal::start_typed("early\n\x04", &args);
        assert_eq!(ann.wait(), Some(0), "{url}");
        ann.is_restored();
        assert_eq!(other.out(""), "[lab] ann: early");
    }
}

#[test]
fn lines_that_are_pasted_at_once_are_all_posted_in_order() {
    let hub = Hub::tcp();
    let other = Running::start(&["chat", hub.url(), "-r", "lab", "-n", "bob", "--follow"]);
    other.err("you are in lab");
    let mut ann = at_terminal(hub.url(), "ann");
    ann.types("one\rtwo\rthree\r");
    ann.types("\x1b[200~four\nfive\x1b[201~\r");
    for line in ["one", "two", "three", "four", "five"] {
        assert_eq!(other.out(""), format!("[lab] ann: {line}"));
    }
}

#[test]
fn a_hub_that_is_started_again_is_told_in_one_line_each() {
    let mut hub = Hub::tcp();
    let url = hub.url().to_string();
    let mut ann = at_terminal(&url, "ann");
    hub.running.signal(Signal::INT);
    ann.shows("-- connection lost, connecting again: the hub said bye: the hub stops");
    assert_eq!(hub.running.wait().code, Some(0));
    ann.types("while it is away\r");
    ann.shows("-- not acknowledged yet: while it is away");
    hub = Hub::start(&[&url]);
    ann.shows("-- connected again");
    ann.shows("-- the hub has a new log of lab: what it kept before is gone");
    ann.shows("[lab] ann: while it is away ✓");
    let rows = ann.rows();
    let lost = rows.iter().filter(|row| row.contains("connection lost"));
    assert_eq!(lost.count(), 1, "{rows:#?}");
    ann.types("\x04");
    assert_eq!(ann.wait(), Some(0));
    drop(hub);
}

#[test]
fn an_interrupt_ends_well_and_leaves_the_terminal_as_it_was() {
    let hub = Hub::tcp();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut ann = at_terminal(hub.url(), "ann");
        ann.types("half a line");
        ann.ends_in("lab> half a line");
        ann.signal(signal);
        assert_eq!(ann.wait(), Some(0), "{signal:?}");
        ann.is_restored();
    }
    let mut ann = at_terminal(hub.url(), "ann");
    ann.types("half\x03");
    assert_eq!(ann.wait(), Some(0));
    ann.is_restored();
}

#[test]
fn a_second_interrupt_does_not_wait_for_what_is_open() {
    let hub = Hub::tcp();
    let mut ann = at_terminal(hub.url(), "ann");
    hub.running.signal(Signal::KILL);
    ann.shows_part("connection lost");
    ann.types("never\r");
    ann.shows("-- not acknowledged yet: never");
    ann.signal(Signal::INT);
    ann.shows("-- 1 post waits to be acknowledged; interrupt again to leave at once");
    ann.signal(Signal::INT);
    ann.shows("error: 1 post was not acknowledged before the interrupt");
    assert_eq!(ann.wait(), Some(1));
    ann.is_restored();
}

#[test]
fn styles_are_left_out_where_they_are_not_wanted() {
    let hub = Hub::tcp();
    let styled = |env: &[(&str, &str)]| {
        let args = ["chat", hub.url(), "--room", "lab", "--name", "ann"];
        let mut ann = Terminal::start(&args, env);
        ann.shows_part("-- you are in lab");
        ann.types("hello\r");
        ann.shows_part("[lab] ann: hello");
        let is_styled = ann.is_styled();
        ann.types("/quit\r");
        assert_eq!(ann.wait(), Some(0));
        ann.is_restored();
        is_styled
    };
    assert!(styled(&[]));
    assert!(!styled(&[("NO_COLOR", "1")]));
    // No editor there: lines come and go as on paper.
    assert!(!styled(&[("TERM", "dumb")]));
}

#[test]
fn the_log_does_not_garble_what_is_being_typed() {
    let hub = Hub::tcp();
    let args = [
        "chat",
        hub.url(),
        "-r",
        "lab",
        "-n",
        "ann",
        "--log",
        "debug",
    ];
    let mut ann = Terminal::start(&args, &[("NO_COLOR", "1")]);
    ann.shows_part("-- you are in lab");
    ann.types("half a line");
    ann.ends_in("lab> half a line");
    hub.running.signal(Signal::TERM);
    ann.shows_part("DEBUG halloo_std::client");
    ann.shows_part("connection lost");
    ann.ends_in("lab> half a line");
}
