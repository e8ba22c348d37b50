//! Hosts that cannot be reached, or are silent: in a network of its own, over both families.

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
