//! A hub at all addresses over IPv6, spoken to at one that the system would not answer from.

use crate::process::{Ended, Running};
use crate::reach::{has_network, inside};

/// To 2001:db8:8::2 the system goes, and so answers, from ::1.
const SECOND: &str = "ip -6 addr add 2001:db8:8::2/128 dev lo nodad && \
                      ip -6 route del local 2001:db8:8::2 dev lo table local && \
                      ip -6 route add local 2001:db8:8::2 dev lo table local src ::1";

/// Runs a client beside a hub that listens at `listen`, once it does.
fn beside(listen: &str, client: &str) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let (program, fifo) = (env!("CARGO_BIN_EXE_halloo"), directory.path().join("said"));
    let (fifo, client) = (
        fifo.display(),
        client.replace("halloo ", &format!("{program} ")),
    );
    let script = format!(
        "{SECOND} && mkfifo {fifo} || exit 99
         {program} serve --max-rooms 8 --listen '{listen}' > {fifo} & hub=$!
         exec 3< {fifo} && read -r _ <&3
         {client}; code=$?
         kill $hub; wait $hub; exit $code"
    );
    Running::spawn(&mut inside(&script)).wait()
}

#[test]
fn over_ipv6_answers_leave_from_the_address_that_was_spoken_to() {
    if !has_network() {
        return;
    }
    let at = "udp://[2001:db8:8::2]:7008";
    for (service, answer) in [
        ("echo+udp://[::]:7008?prefix=Echo: ", "Echo: hi"),
        ("greet+udp://[::]:7008?text=Hello", "Hello"),
    ] {
        let client = format!("echo hi | halloo connect {at} --timeout 10000");
        let ended = beside(service, &client);
        assert_eq!(ended.out, [answer], "{service}: {ended:?}");
    }
    let chat = format!("printf 'one\\ntwo\\n' | halloo chat chat+{at} -r lab -n ann --timeout 10");
    let ended = beside("chat+udp://[::]:7008", &chat);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out, ["[lab] ann: one", "[lab] ann: two"]);
}
