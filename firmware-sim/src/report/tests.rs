//! Each number that may not rise turns the verdict.

use super::*;

fn good() -> Report {
    Report {
        devices: 2,
        devices_by_kind: Kinds::mix(2, false),
        seed: 7,
        seconds: 1.0,
        posts: 10,
        acknowledged: 10,
        rejected: 0,
        unacknowledged: 0,
        held_back: 3,
        expected: 1_234_567,
        delivered: 1_234_567,
        lost: 0,
        doubled: 0,
        out_of_order: 0,
        gaps: 0,
        missed: 0,
        strayed: 0,
        foreign: 5,
        not_joined: 0,
        cuts: 1,
        reconnects: 1,
        store_changes: 0,
        rtt_us: Percentiles::default(),
        delivery_us: Percentiles::default(),
        echo: Some(EchoReport::default()),
        hub: None,
    }
}

#[test]
fn a_good_run_says_so() {
    assert!(good().is_good());
    let verdict = "nothing lost, nothing doubled, all in order";
    assert_eq!(good().verdict(), verdict);
    let text = good().to_string();
    assert!(
        text.contains(verdict) && text.contains("1,234,567"),
        "{text}"
    );
}

#[test]
fn each_fault_turns_the_verdict() {
    let faults: [fn(&mut Report); 12] = [
        |r| r.lost = 1,
        |r| r.doubled = 1,
        |r| r.out_of_order = 1,
        |r| r.missed = 1,
        |r| r.strayed = 1,
        |r| r.unacknowledged = 1,
        |r| r.rejected = 1,
        |r| r.not_joined = 1,
        |r| r.delivered -= 1,
        |r| r.echo.get_or_insert_default().stream.lost = 1,
        |r| r.echo.get_or_insert_default().datagram.corrupt = 1,
        |r| r.echo.get_or_insert_default().datagram.disordered = 1,
    ];
    for (at, fault) in faults.iter().enumerate() {
        let mut report = good();
        fault(&mut report);
        assert_eq!(report.faults().len(), 1, "{at}");
        assert!(
            report.verdict().starts_with("1 "),
            "{at}: {}",
            report.verdict()
        );
    }
}

#[test]
fn a_lost_datagram_of_echo_is_no_fault() {
    let mut report = good();
    report.echo.get_or_insert_default().datagram.lost = 1;
    assert!(report.is_good());
}

#[test]
fn a_run_without_posts_claims_nothing() {
    let mut report = good();
    (report.posts, report.acknowledged) = (0, 0);
    assert!(!report.verdict().contains("nothing lost"));
}

#[test]
fn the_table_of_a_large_fleet_fits_a_terminal() {
    let times = Percentiles {
        count: 1,
        p50: 999_949,
        p99: 123_456_789,
        p999: 600_000_000,
        max: 600_000_000,
    };
    let echoes = EchoCounts {
        sent: 123_456,
        received: 123_455,
        ..EchoCounts::default()
    };
    let report = Report {
        devices: 99_999,
        devices_by_kind: Kinds::mix(99_999, true),
        seed: u64::MAX,
        posts: 99_999_999,
        expected: 999_999_999,
        delivered: 999_999_999,
        reconnects: 99_999,
        cuts: 99_999,
        held_back: 0,
        foreign: 0,
        rtt_us: times,
        delivery_us: times,
        echo: Some(EchoReport {
            stream: echoes,
            datagram: echoes,
            rtt_us: times,
        }),
        hub: Some(HubReport {
            cpu_percent: 100.0,
            cpu_us_per_post: 12_345.6,
            connections: 99_999,
            memory_per_connection: 99_999,
            memory_fixed: usize::MAX,
        }),
        ..good()
    };
    let text = report.to_string();
    assert!(text.lines().count() <= 23, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line.trim_end(), line);
    }
}
