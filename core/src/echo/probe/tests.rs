use super::super::{Mode, Responder};
use super::*;
use std::vec::Vec;

fn config(transport: Transport) -> ProbeConfig<'static> {
    ProbeConfig {
        transport,
        size: 20,
        count: 10,
        interval: Duration::from_ticks(0),
        timeout: time::secs(1),
        prefix: b"",
        seed: 42,
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_ticks(millis * 1_000)
}

fn probe<const W: usize>(config: ProbeConfig<'_>) -> Probe<'_, W> {
    Probe::new(config).unwrap()
}

fn transmit<const W: usize>(probe: &mut Probe<'_, W>, now: Instant) -> Option<Vec<u8>> {
    let mut out = [0; 64];
    let n = probe.poll_transmit(now, &mut out)?;
    Some(out[..n].to_vec())
}

fn transmit_all<const W: usize>(probe: &mut Probe<'_, W>, now: Instant) -> Vec<Vec<u8>> {
    core::iter::from_fn(|| transmit(probe, now)).collect()
}

fn events<const W: usize>(probe: &mut Probe<'_, W>) -> Vec<ProbeEvent> {
    core::iter::from_fn(|| probe.poll_event()).collect()
}

fn round_trip(sequence: u32, millis: u64) -> ProbeEvent {
    let time = time::millis(millis);
    ProbeEvent::RoundTrip { sequence, time }
}

fn lost(sequence: u32) -> ProbeEvent {
    ProbeEvent::Lost { sequence }
}

#[track_caller]
fn check_adds_up<const W: usize>(probe: &Probe<'_, W>) {
    let in_flight = probe.flights.iter().filter(|f| f.is_waiting()).count() as u64;
    let report = probe.report();
    assert_eq!(report.sent, report.received + report.lost + in_flight);
}

#[test]
fn a_payload_has_room_for_its_number() {
    let small = ProbeConfig {
        size: MIN_PAYLOAD - 1,
        ..config(Transport::Stream)
    };
    assert_eq!(Probe::<4>::new(small).err(), Some(ProbeError::TooSmall));
    let mut smallest: Probe<'_, 4> = probe(ProbeConfig {
        size: MIN_PAYLOAD,
        ..small
    });
    assert_eq!(transmit(&mut smallest, at(0)), Some(b"00000000".to_vec()));
}

#[test]
fn a_stream_is_checked_in_any_cut() {
    for size in 1..=50 {
        let mut probe: Probe<'_, 4> = probe(config(Transport::Stream));
        let mut sequences = Vec::new();
        while !probe.is_finished() {
            let wire = transmit_all(&mut probe, at(0)).concat();
            assert!(!wire.is_empty(), "chunks of {size}");
            for piece in wire.chunks(size) {
                probe.handle_bytes(at(3), piece);
                check_adds_up(&probe);
            }
            sequences.extend(events(&mut probe));
        }
        let expected: Vec<_> = (0..10)
            .map(|n| round_trip(n, 3 * u64::from(n < 4)))
            .collect();
        assert_eq!(sequences, expected, "chunks of {size}");
        let clean = Report {
            sent: 10,
            received: 10,
            ..Report::default()
        };
        assert_eq!(probe.report(), clean);
    }
}

#[test]
fn every_changed_byte_of_a_stream_is_seen_and_costs_one_probe() {
    for place in 0..60 {
        let mut probe: Probe<'_, 4> = probe(ProbeConfig {
            count: 3,
            ..config(Transport::Stream)
        });
        let mut wire = transmit_all(&mut probe, at(0)).concat();
        wire[place] ^= 1;
        for piece in wire.chunks(7) {
            probe.handle_bytes(at(1), piece);
        }
        let report = probe.report();
        assert_eq!((report.received, report.corrupt, report.lost), (2, 1, 1));
        assert_eq!(events(&mut probe)[place / 20], lost(place as u32 / 20));
        assert!(probe.is_finished());
    }
}

#[test]
fn bytes_that_nobody_waits_for_are_surplus() {
    let mut probe: Probe<'_, 1> = probe(config(Transport::Stream));
    probe.handle_bytes(at(0), b"hello");
    let sent = transmit(&mut probe, at(0)).unwrap();
    probe.handle_bytes(at(0), &[&sent[..], b"more"].concat());
    assert_eq!((probe.report().received, probe.report().surplus), (1, 9));
}

#[test]
fn a_stream_past_a_deadline_is_down_until_it_is_connected_again() {
    let mut probe: Probe<'_, 2> = probe(config(Transport::Stream));
    let wire = transmit(&mut probe, at(0)).unwrap();
    assert!(transmit(&mut probe, at(600)).is_some());
    assert_eq!(probe.poll_timeout(), Some(at(1_000)));
    probe.handle_bytes(at(999), &wire[..19]);
    assert!(!probe.is_down());
    probe.handle_timeout(at(1_000));
    assert!(probe.is_down());
    assert_eq!(probe.poll_timeout(), None);
    assert_eq!(events(&mut probe), [lost(0), lost(1)]);
    probe.handle_bytes(at(1_001), &wire[19..]);
    assert_eq!((probe.report().lost, probe.report().surplus), (2, 1));
    assert_eq!(transmit(&mut probe, at(1_001)), None);

    probe.handle_connected();
    let wire = transmit(&mut probe, at(1_002)).unwrap();
    probe.handle_bytes(at(1_003), &wire);
    assert_eq!(events(&mut probe), [round_trip(2, 1)]);
    check_adds_up(&probe);
}

#[test]
fn a_lost_connection_loses_what_is_in_flight() {
    for transport in [Transport::Stream, Transport::Datagram] {
        let mut probe: Probe<'_, 3> = probe(config(transport));
        transmit_all(&mut probe, at(0));
        probe.handle_disconnected();
        assert_eq!(events(&mut probe), [lost(0), lost(1), lost(2)]);
        assert_eq!(transmit(&mut probe, at(0)), None);
        probe.handle_connected();
        assert_eq!(transmit_all(&mut probe, at(0)).len(), 3);
    }
}

#[test]
fn a_server_with_a_prefix_is_checked_with_one_probe_in_flight() {
    let prefixed = ProbeConfig {
        prefix: b"Echo: ",
        ..config(Transport::Stream)
    };
    let mut probe: Probe<'_, 4> = probe(prefixed);
    let mut server = Responder::new(Mode::Prefixed(b"Echo: "));
    while !probe.is_finished() {
        let sent = transmit_all(&mut probe, at(0));
        assert_eq!(sent.len(), 1);
        let reply = server.handle_bytes(&sent[0]).unwrap();
        probe.handle_bytes(at(0), reply.prefix);
        probe.handle_bytes(at(0), reply.body);
        assert_eq!(events(&mut probe).len(), 1);
    }
    assert_eq!((probe.report().received, probe.report().corrupt), (10, 0));
}

#[test]
fn datagrams_with_a_prefix_fill_the_window() {
    let prefixed = ProbeConfig {
        prefix: b"Echo: ",
        ..config(Transport::Datagram)
    };
    let mut probe: Probe<'_, 4> = probe(prefixed);
    let sent = transmit_all(&mut probe, at(0));
    assert_eq!(sent.len(), 4);
    for payload in &sent {
        probe.handle_bytes(at(0), &[b"Echo: ", &payload[..]].concat());
        probe.handle_bytes(at(0), payload);
    }
    assert_eq!((probe.report().received, probe.report().corrupt), (4, 4));
}

#[test]
fn reordered_duplicated_and_late_datagrams_are_told_apart() {
    let mut probe: Probe<'_, 4> = probe(config(Transport::Datagram));
    let sent = transmit_all(&mut probe, at(0));
    probe.handle_bytes(at(10), &sent[1]);
    probe.handle_bytes(at(20), &sent[0]);
    probe.handle_bytes(at(30), &sent[0]);
    probe.handle_bytes(at(40), &sent[2]);
    let early = [round_trip(0, 20), round_trip(1, 10), round_trip(2, 40)];
    assert_eq!(events(&mut probe), early);
    probe.handle_bytes(at(1_000), &sent[3]);
    assert_eq!(events(&mut probe), [lost(3)]);
    probe.handle_bytes(at(1_001), &sent[3]);
    let expected = Report {
        sent: 4,
        received: 3,
        lost: 1,
        late: 1,
        reordered: 1,
        duplicated: 2,
        ..Report::default()
    };
    assert_eq!(probe.report(), expected);
}

#[test]
fn a_duplicate_is_known_for_64_probes_and_late_after_that() {
    let mut probe: Probe<'_, 1> = probe(ProbeConfig {
        count: 100,
        ..config(Transport::Datagram)
    });
    let first = transmit(&mut probe, at(0)).unwrap();
    probe.handle_bytes(at(0), &first);
    assert_eq!(events(&mut probe).len(), 1);
    for more in 1..70 {
        let sent = transmit(&mut probe, at(0)).unwrap();
        probe.handle_bytes(at(0), &first);
        probe.handle_bytes(at(0), &sent);
        assert_eq!(events(&mut probe).len(), 1);
        assert_eq!(probe.report().duplicated, more.min(63));
        assert_eq!(probe.report().late, more - more.min(63));
    }
}

#[test]
fn every_changed_byte_and_every_truncation_of_a_datagram_is_corrupt() {
    let mut probe: Probe<'_, 1> = probe(config(Transport::Datagram));
    let sent = transmit(&mut probe, at(0)).unwrap();
    let mut expected = 0;
    for place in 0..sent.len() {
        for value in 0..=u8::MAX {
            let mut damaged = sent.clone();
            damaged[place] = value;
            if damaged != sent {
                probe.handle_bytes(at(1), &damaged);
                expected += 1;
            }
        }
        probe.handle_bytes(at(1), &sent[..place]);
        expected += 1;
    }
    probe.handle_bytes(at(1), &[&sent[..], b"x"].concat());
    assert_eq!(probe.report().corrupt, expected + 1);
    probe.handle_bytes(at(2), &sent);
    assert_eq!(events(&mut probe), [round_trip(0, 2)]);
}

#[test]
fn replies_of_another_run_are_corrupt() {
    let other = ProbeConfig {
        seed: 43,
        ..config(Transport::Datagram)
    };
    let stray = transmit::<1>(&mut probe(other), at(0)).unwrap();
    let mut probe: Probe<'_, 1> = probe(config(Transport::Datagram));
    transmit(&mut probe, at(0));
    probe.handle_bytes(at(0), &stray);
    assert_eq!((probe.report().corrupt, probe.report().received), (1, 0));
}

#[test]
fn a_lost_datagram_frees_its_place_in_the_window() {
    let mut probe: Probe<'_, 2> = probe(config(Transport::Datagram));
    transmit_all(&mut probe, at(0));
    assert_eq!(probe.poll_timeout(), Some(at(1_000)));
    assert_eq!(transmit(&mut probe, at(999)), None);
    probe.handle_timeout(at(1_000));
    assert_eq!(transmit(&mut probe, at(1_000)), None);
    assert_eq!(events(&mut probe), [lost(0), lost(1)]);
    assert_eq!(transmit_all(&mut probe, at(1_000)).len(), 2);
}

#[test]
fn sends_keep_the_interval_and_the_timer_shows_it() {
    let paced = ProbeConfig {
        interval: time::millis(100),
        count: 2,
        ..config(Transport::Datagram)
    };
    let mut probe: Probe<'_, 4> = probe(paced);
    assert_eq!(transmit_all(&mut probe, at(5)).len(), 1);
    assert_eq!(probe.poll_timeout(), Some(at(105)));
    assert_eq!(transmit(&mut probe, at(104)), None);
    probe.handle_timeout(at(105));
    assert_eq!(probe.poll_timeout(), Some(at(1_005)));
    assert_eq!(transmit_all(&mut probe, at(105)).len(), 1);
    assert_eq!(transmit(&mut probe, at(300)), None);
    assert_eq!(probe.poll_timeout(), Some(at(1_005)));
}

#[test]
fn a_buffer_that_is_too_small_sends_nothing_and_loses_no_number() {
    let mut probe: Probe<'_, 1> = probe(config(Transport::Stream));
    assert_eq!(probe.poll_transmit(at(0), &mut [0; 19]), None);
    assert_eq!(probe.report().sent, 0);
    assert_eq!(probe.poll_transmit(at(0), &mut [0; 20]), Some(20));
}

#[test]
fn time_that_goes_backwards_stands_still() {
    let mut probe: Probe<'_, 1> = probe(config(Transport::Datagram));
    let sent = transmit(&mut probe, at(500)).unwrap();
    probe.handle_timeout(at(0));
    probe.handle_bytes(at(0), &sent);
    assert_eq!(events(&mut probe), [round_trip(0, 0)]);
}

#[test]
fn any_order_of_calls_keeps_the_counts_true() {
    for seed in 1..3_000_u32 {
        let transport = [Transport::Stream, Transport::Datagram][seed as usize % 2];
        let mut probe: Probe<'_, 3> = probe(ProbeConfig {
            count: 200,
            interval: time::millis(u64::from(seed % 3)),
            ..config(transport)
        });
        let (mut dice, mut sent) = (seed.wrapping_mul(0x9e37_79b9) | 1, Vec::new());
        let mut seen = 0;
        for _ in 0..60 {
            dice ^= dice << 13;
            dice ^= dice >> 17;
            dice ^= dice << 5;
            let now = at(u64::from(dice >> 8) % 3_000);
            match dice % 8 {
                0 => probe.handle_timeout(now),
                1 => seen += u64::from(probe.poll_event().is_some()),
                2 => probe.handle_connected(),
                3 if dice % 64 == 3 => probe.handle_disconnected(),
                4 => probe.handle_bytes(now, &[b'0'; 23][..dice as usize / 8 % 24]),
                5 if !sent.is_empty() => {
                    let replay: &Vec<u8> = &sent[dice as usize / 8 % sent.len()];
                    probe.handle_bytes(now, replay);
                }
                _ => sent.extend(transmit(&mut probe, now)),
            }
            check_adds_up(&probe);
        }
        seen += events(&mut probe).len() as u64;
        assert_eq!(seen, probe.report().received + probe.report().lost);
    }
}

#[test]
fn a_window_takes_about_32_bytes_for_each_probe() {
    let slot = size_of::<Probe<'_, 9>>() - size_of::<Probe<'_, 8>>();
    assert!(slot <= 32, "{slot}");
    assert!(size_of::<Probe<'_, 8>>() <= 512);
}
