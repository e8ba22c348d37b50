//! The images `sensor` and `sensor-async`, with a real hub and a member on the host.

use std::path::Path;
use std::time::{Duration, Instant};

use halloo_core::chat::client::From;
use halloo_std::client::{self, Device, Happening};
use halloo_std::testkit::NoiseRates;
use halloo_tests::hub::{RunningHub, small};

use super::board::Settings;
use super::logs::{decoded, wait_for};
use super::proxy::{Way, Wire};
use super::{Board, images, report};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many readings a board takes in ten minutes of its own time, and in half a minute.
const TEN_MINUTES: u32 = 6_000;
const HALF_A_MINUTE: u32 = 300;

/// A board on a line to a hub, and a member on the host who reads and commands.
struct Stage {
    hub: RunningHub,
    wire: Wire,
    board: Board,
    member: Device,
    /// The readings that came; each is the next.
    readings: u32,
    /// The commands that were given, and that the last reading was after.
    given: u32,
    obeyed: u32,
}

impl Stage {
    fn new(images: &Path, image: &str, seed: u64, rates: NoiseRates) -> Self {
        Self::with(images, image, seed, rates, false)
    }

    /// On a board whose time is the number of its instructions: it is over as soon as there is nothing
    /// more to do in it, and so goes by faster than ours.
    fn with(
        images: &Path,
        image: &str,
        seed: u64,
        rates: NoiseRates,
        counts_instructions: bool,
    ) -> Self {
        let urls = ["chat+cobs+tcp://127.0.0.1:0", "chat+tcp://127.0.0.1:0"];
        let hub = RunningHub::start(&urls, small());
        // Before the board, whose first reading it is to see.
        let (host, port) = hub.address(1);
        let url = format!("chat+tcp://{host}:{port}");
        let mut member = Device::connect(&url, client::Settings::new("host")).unwrap();
        for room in ["readings", "commands"] {
            member.join_wait(room, From::Earliest, PATIENCE).unwrap();
        }
        let settings = Settings {
            uarts: 1,
            counts_instructions,
        };
        let (board, mut lines) = Board::start_with(images, image, settings);
        let wire = Wire::new([lines.pop().unwrap(), hub.tcp(0)], seed, rates);
        Self {
            hub,
            wire,
            board,
            member,
            readings: 0,
            given: 0,
            obeyed: 0,
        }
    }

    fn command(&mut self, command: &str) {
        self.member
            .post_wait("commands", command.as_bytes(), PATIENCE)
            .unwrap();
        self.member.flush(PATIENCE).unwrap();
        self.given += 1;
    }

    /// Reads on until there are so many readings. Each has to be the next.
    #[track_caller]
    fn read_up_to(&mut self, count: u32) {
        let end = Instant::now() + PATIENCE;
        while self.readings < count {
            match self.member.next(PATIENCE).unwrap() {
                Some(Happening::Entry { room, body, .. }) if room == "readings" => {
                    let text = String::from_utf8(body).unwrap();
                    let (number, obeyed) = text.split_once(' ').unwrap();
                    assert_eq!(number, self.readings.to_string(), "lost or doubled");
                    let obeyed = obeyed.parse().unwrap();
                    assert!((self.obeyed..=self.given).contains(&obeyed), "{text}");
                    (self.readings, self.obeyed) = (self.readings + 1, obeyed);
                }
                Some(Happening::Gap { .. }) => panic!("a gap"),
                Some(_) => {}
                None => panic!("nothing came for {PATIENCE:?}"),
            }
            assert!(
                Instant::now() < end,
                "too slow: {} of {count}",
                self.readings
            );
        }
    }

    /// Everything is in its place once the faults have stopped.
    #[track_caller]
    fn settle(&mut self) {
        self.wire.set_rates(NoiseRates::NONE);
        while self.obeyed < self.given {
            self.read_up_to(self.readings + 1);
        }
        self.read_up_to(self.readings + 20);
        assert_eq!(self.obeyed, self.given);
    }
}

fn posts_and_obeys(image: &str) {
    let Some(images) = images() else { return };
    let mut stage = Stage::new(images, image, 1, NoiseRates::NONE);
    stage.read_up_to(3);
    stage.command("interval=5");
    stage.command("nonsense");
    stage.given -= 1;
    stage.command("interval=20");
    stage.read_up_to(50);
    stage.settle();
    report("stack", image, stage.board.stack());
}

#[test]
fn a_board_posts_readings_and_obeys_commands() {
    posts_and_obeys("sensor");
}

#[test]
fn a_board_with_an_executor_posts_readings_and_obeys_commands() {
    posts_and_obeys("sensor-async");
}

#[test]
fn faults_on_the_line_lose_and_double_nothing() {
    let Some(images) = images() else { return };
    let is_long = std::env::var_os("HALLOO_FIRMWARE_LONG").is_some();
    let count = if is_long { TEN_MINUTES } else { HALF_A_MINUTE };
    println!(
        "seconds of the board | faults of a million bytes | readings | bytes | faults | lost or doubled"
    );
    for (seed, rate) in [(3, 100), (4, 1_000)] {
        let mut stage = Stage::with(images, "sensor", seed, NoiseRates::all(rate), true);
        for at in 1..=10 {
            stage.read_up_to(count / 10 * at);
            // What it was before, and counted: each is obeyed once.
            stage.command("interval=100");
        }
        let seconds = stage.readings / 10;
        stage.settle();
        let [up, down] = stage.wire.counts();
        let (bytes, faults) = (up.bytes + down.bytes, up.faults() + down.faults());
        assert!(faults > 0, "there was no fault");
        let rate = rate * 4;
        println!(
            "{seconds} | {rate} | {} | {bytes} | {faults} | 0",
            stage.readings
        );
    }
}

#[test]
fn a_board_that_is_reset_in_mid_conversation_goes_on_where_it_was() {
    let Some(images) = images() else { return };
    for image in ["sensor", "sensor-async"] {
        let mut stage = Stage::new(images, image, 5, NoiseRates::NONE);
        stage.command("interval=3");
        for round in 1..=40 {
            stage.read_up_to(round * 4);
            stage.command("interval=3");
            stage.board.reset();
        }
        stage.settle();
        let sessions = stage.hub.stats.snapshot().chat.sessions;
        assert!(sessions > 40, "{sessions} sessions: no reset was seen");
    }
}

#[test]
fn a_reading_whose_verdict_did_not_come_before_a_reset_is_not_given_again() {
    let Some(images) = images() else { return };
    for image in ["sensor", "sensor-async"] {
        let mut stage = Stage::new(images, image, 8, NoiseRates::NONE);
        stage.read_up_to(3);
        stage.wire.cut(Way::ToBoard);
        // What the hub takes from here on, the board does not know of.
        stage.read_up_to(stage.readings + 2);
        stage.board.reset();
        stage.settle();
    }
}

#[test]
fn a_command_that_was_obeyed_before_a_reset_is_not_obeyed_again() {
    let Some(images) = images() else { return };
    let mut stage = Stage::new(images, "sensor-log", 9, NoiseRates::NONE);
    stage.read_up_to(3);
    stage.wire.cut(Way::FromBoard);
    // Nobody but the board knows that it obeys.
    stage.command("interval=7");
    wait_for(images, &stage.board, "sensor: obeys interval 7");
    stage.board.reset();
    stage.settle();
    let lines = decoded(images, &stage.board);
    let obeyed = lines.iter().filter(|line| line.contains("sensor: obeys"));
    assert_eq!(obeyed.count(), 1, "{lines:#?}");
}

#[test]
fn resets_and_faults_together_lose_and_double_nothing() {
    let Some(images) = images() else { return };
    let mut stage = Stage::new(images, "sensor", 6, NoiseRates::all(500));
    stage.command("interval=3");
    for round in 1..=10 {
        stage.read_up_to(round * 11);
        stage.command("interval=3");
        stage.board.reset();
    }
    stage.settle();
}

#[test]
fn the_log_of_a_board_is_read_with_its_symbols() {
    let Some(images) = images() else { return };
    let mut stage = Stage::new(images, "sensor-log", 7, NoiseRates::NONE);
    stage.command("nonsense");
    stage.given -= 1;
    stage.read_up_to(3);
    // The application's own words, the core's, and values of the core's types.
    for wanted in [
        "sensor: welcome",
        "client: session",
        "Acked { slot: 0, seq: 1 }",
        "no such command: [110, 111, 110, 115, 101, 110, 115, 101]",
    ] {
        wait_for(images, &stage.board, wanted);
    }
    for line in wait_for(images, &stage.board, "seq: 2").iter().take(20) {
        println!("{line}");
    }
}
