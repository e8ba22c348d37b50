//! Hosts that cannot be reached, or are silent: in a network of its own, over both families.

use std::fs;
use std::process::{Command, Stdio};

use crate::process::{Ended, Running};

/// The hosts of 10.9.9.0/24 and 2001:db8:9::/64 are silent, loopback is there, and no way leads
/// anywhere else.
const NETWORK: &str = "ip link set lo up && ip route add 10.9.9.0/24 dev lo && \
                       ip -6 route add 2001:db8:9::/64 dev lo";

pub(crate) fn inside(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-rn", "sh", "-c", &format!("{NETWORK} && {script}")]);
    command
}

/// Whether such a network can be made; says so if not.
pub(crate) fn has_network() -> bool {
    let output = inside("true").stdin(Stdio::null()).output();
    let has = output.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: a network of its own cannot be made here");
    }
    has
}

fn halloo(args: &str) -> Ended {
    let program = env!("CARGO_BIN_EXE_halloo");
    let mut command = inside(&format!("exec {program} {args}"));
    Running::spawn(&mut command).wait()
}

#[track_caller]
fn fails(args: &str, code: i32, part: &str) {
    let ended = halloo(args);
    assert_eq!(ended.code, Some(code), "{args}: {ended:?}");
    assert!(ended.err[0].contains(part), "{args}: {ended:?}");
}

#[test]
fn a_host_without_a_way_to_it_is_exit_7() {
    if !has_network() {
        return;
    }
    for host in ["192.0.2.1", "[2001:db8:1::1]"] {
        for args in [
            format!("connect tcp://{host}:7"),
            format!("connect udp://{host}:7"),
            format!("get http://{host}:7/"),
        ] {
            fails(&args, 7, "cannot be reached: check the network");
        }
        fails(&format!("ping {host} -c 1"), 7, "cannot be reached");
    }
}

#[test]
fn an_address_of_a_family_that_is_switched_off_is_exit_7() {
    if !has_network() {
        return;
    }
    let program = env!("CARGO_BIN_EXE_halloo");
    for args in [
        "connect tcp://[2001:db8::1]:7",
        "connect udp://[2001:db8::1]:7",
        "get http://[2001:db8::1]:7/",
        "echo tcp://[::1]:7",
        "ping 2001:db8::1 -c 1",
    ] {
        let off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6";
        let mut command = inside(&format!("{off} && exec {program} {args}"));
        let ended = Running::spawn(&mut command).wait();
        assert_eq!(ended.code, Some(7), "{args}: {ended:?}");
        assert!(
            ended.err[0].contains("cannot be reached"),
            "{args}: {ended:?}"
        );
    }
}

#[test]
fn a_name_that_no_server_looks_up_is_exit_4_by_each_time_out() {
    let dir = tempfile::tempdir().unwrap();
    let servers = dir.path().join("resolv.conf");
    fs::write(
        &servers,
        "nameserver 10.9.9.53\noptions timeout:5 attempts:2\n",
    )
    .unwrap();
    let with_silent_servers = |command: &str| {
        let mount = format!("mount --bind {} /etc/resolv.conf", servers.display());
        inside(&format!("exec unshare -m sh -c '{mount} && {command}'"))
    };
    let tried = with_silent_servers("true").stdin(Stdio::null()).output();
    if !tried.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: name servers of its own cannot be had here");
        return;
    }
    let program = env!("CARGO_BIN_EXE_halloo");
    for args in [
        "connect tcp://device.example:7 --timeout 50",
        "connect tcp://device.example:7 --connect-timeout 50",
        "connect udp://device.example:7 --timeout 50",
        "get http://device.example:7/ --timeout 50",
        "echo tcp://device.example:7 --timeout 50",
    ] {
        let mut command = with_silent_servers(&format!("exec {program} {args}"));
        let ended = Running::spawn(&mut command).wait();
        assert_eq!(ended.code, Some(4), "{args}: {ended:?}");
        assert!(
            ended.err[0].contains("device.example:7 did not answer in time"),
            "{args}: {ended:?}"
        );
    }
}

#[test]
fn a_host_that_is_silent_is_exit_4_by_each_time_out() {
    if !has_network() {
        return;
    }
    for host in ["10.9.9.1", "[2001:db8:9::1]"] {
        for limit in ["--connect-timeout 50", "--timeout 50"] {
            for args in [
                format!("connect tcp://{host}:7 {limit}"),
                format!("get http://{host}:7/ {limit}"),
            ] {
                fails(&args, 4, "did not answer in time");
            }
        }
        fails(
            &format!("ping {host} -c 2 -i 0.01 -W 0.05"),
            4,
            "did not answer",
        );
    }
}

#[test]
fn a_port_that_nobody_listens_on_is_exit_3() {
    if !has_network() {
        return;
    }
    for host in ["127.0.0.1", "[::1]"] {
        fails(
            &format!("connect tcp://{host}:7"),
            3,
            "refused the connection",
        );
        fails(
            &format!("get http://{host}:7/"),
            3,
            "refused the connection",
        );
    }
}
