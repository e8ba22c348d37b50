//! Ping on loopback, with the right to and without.

use std::fs;
use std::process::Command;

use rustix::process::{Signal, geteuid};

use crate::bad_input::unprivileged;
use crate::process::Running;
use crate::servers::HOSTS;

/// Whether this user may ping; says so if not.
fn may_ping() -> bool {
    let ended = Running::start(&["ping", "127.0.0.1", "-c", "1"]).wait();
    if ended.code == Some(8) {
        eprintln!("skipped: this user has no right to send ICMP");
    }
    ended.code != Some(8)
}

#[test]
fn loopback_answers_and_the_statistics_are_those_of_ping() {
    if !may_ping() {
        return;
    }
    for host in HOSTS {
        let ended = Running::start(&["ping", host, "-c", "3", "-i", "0.01", "-s", "100"]).wait();
        assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
        assert_eq!(
            ended.out[0],
            format!("PING {host} ({host}): 100 data bytes")
        );
        for n in 1..=3 {
            let start = format!("108 bytes from {host}: icmp_seq={n} time=");
            assert!(ended.out[n].starts_with(&start), "{ended:?}");
        }
        assert_eq!(
            ended.out[4..6],
            [String::new(), format!("--- {host} ping statistics ---")]
        );
        let counts = "3 packets transmitted, 3 received, 0% packet loss, time ";
        assert!(ended.out[6].starts_with(counts), "{ended:?}");
        let times = ended.out[7]
            .strip_prefix("rtt min/avg/max/mdev = ")
            .unwrap();
        let times: Vec<f64> = times
            .trim_end_matches(" ms")
            .split('/')
            .map(|time| time.parse().unwrap())
            .collect();
        assert!(times[0] <= times[1] && times[1] <= times[2], "{ended:?}");
    }
}

#[test]
fn an_interrupt_ends_with_the_statistics() {
    if !may_ping() {
        return;
    }
    let ping = Running::start(&["ping", "127.0.0.1", "-i", "0.01"]);
    ping.out("icmp_seq=2 ");
    ping.signal(Signal::INT);
    let ended = ping.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .out
            .iter()
            .any(|line| line.starts_with("rtt min/avg/max/mdev")),
        "{ended:?}"
    );
}

#[test]
fn without_the_right_it_says_how_to_get_it_and_is_exit_8() {
    let groups = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    if groups.split_whitespace().collect::<Vec<_>>() != ["1", "0"] || !geteuid().is_root() {
        eprintln!("skipped: a user without the right cannot be made here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let closed = dir.path().join("closed");
    fs::create_dir(&closed).unwrap();
    for host in HOSTS {
        let ended = Running::spawn(&mut unprivileged(dir.path(), &closed, &["ping", host])).wait();
        assert_eq!((ended.code, ended.out.len()), (Some(8), 0), "{ended:?}");
        for part in [
            "no right",
            "sysctl -w net.ipv4.ping_group_range=",
            "setcap cap_net_raw+ep",
        ] {
            assert!(ended.err[0].contains(part), "{ended:?}");
        }
    }
}

/// A network of its own, where the system's sockets for ICMP are for all, and 10.9.9.1 is silent.
const NETWORK: &str = "echo '0 0' > /proc/sys/net/ipv4/ping_group_range && ip link set lo up && \
                       ip route add 10.9.9.0/24 dev lo";

#[test]
fn in_a_network_of_its_own_loopback_answers_and_a_silent_host_is_exit_4() {
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", &format!("{NETWORK} && {script}")]);
        command
    };
    if !inside("true")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped: a network of its own cannot be made here");
        return;
    }
    let ping = |args: &str| {
        let program = env!("CARGO_BIN_EXE_halloo");
        Running::spawn(&mut inside(&format!("exec {program} ping {args}"))).wait()
    };
    for host in HOSTS {
        let ended = ping(&format!("{host} -c 2 -i 0.01"));
        assert_eq!((ended.code, ended.err.len()), (Some(0), 0), "{ended:?}");
    }
    let ended = ping("10.9.9.1 -c 2 -i 0.01 -W 0.05");
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.err[0].contains("10.9.9.1 did not answer"),
        "{ended:?}"
    );
    assert_eq!(ended.out[1], "no answer: icmp_seq=1");
    let counts = "2 packets transmitted, 0 received, 100% packet loss, time ";
    assert!(ended.out[5].starts_with(counts), "{ended:?}");
    assert_eq!(ended.out.len(), 6, "{ended:?}");
    let ended = ping("192.0.2.1 -c 1");
    assert_eq!(ended.code, Some(7), "{ended:?}");
}

#[test]
fn what_cannot_be_pinged_has_its_exit_code() {
    let unknown = format!("{}.invalid", "a".repeat(64));
    for (args, code, part) in [
        (&["ping", &unknown][..], 6, "has no address"),
        (&["ping", "127.0.0.1", "-6"], 6, "has no IPv6 address"),
        (&["ping", "127.0.0.1", "-c", "0"], 2, "--count"),
        (&["ping", "127.0.0.1", "-i", "0"], 2, "a good time is"),
        (&["ping", "127.0.0.1", "-s", "3"], 2, "--size"),
    ] {
        let ended = Running::start(args).wait();
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.err[0].contains(part), "{ended:?}");
    }
}
