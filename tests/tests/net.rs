//! Devices and a hub against each other in virtual time, with whatever faults a seed draws.

use firmware_sim::world::{Fault, Kind, Setup, shrink};

/// The seed of `HALLOO_SEED` alone, or as many as `HALLOO_SEEDS` says, or `usual`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    match (number("HALLOO_SEED"), number("HALLOO_SEEDS")) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, count) => 0..count.unwrap_or(usual),
    }
}

/// Runs seeds and fails with the first one that breaks a rule; which faults fired how often, and how
/// many commits outlived a crash unacknowledged and how many runs were read back from a disk.
fn run(usual: u64, kind: Kind) -> (Vec<u64>, [u64; 2]) {
    let mut fired = vec![0; Fault::ALL.len()];
    let mut disk = [0; 2];
    let mut failures = Vec::new();
    for seed in seeds(usual) {
        let setup = Setup::new(kind, seed);
        match setup.run() {
            Ok(report) => {
                fired
                    .iter_mut()
                    .zip(&report.fired)
                    .for_each(|(sum, n)| *sum += n);
                disk[0] += report.survived;
                disk[1] += report.read_back;
                // A tenth run twice: chance has no other source than the seed.
                if seed % 10 == 0 {
                    let again = setup.run().expect("it held before");
                    assert_eq!(
                        again.to_string(),
                        report.to_string(),
                        "seed {seed} runs otherwise again"
                    );
                }
            }
            Err(failure) => failures.push((setup, failure)),
        }
    }
    for (setup, failure) in &failures {
        println!("seed {}: {}", setup.seed, failure.what);
    }
    println!(
        "{:?} {disk:?}",
        Fault::ALL.iter().zip(&fired).collect::<Vec<_>>()
    );
    if let Some((setup, failure)) = failures.first() {
        let least = shrink(setup, failure, 100);
        panic!(
            "{} seeds fail; the end of the first one, shrunk:\n{}\nseed {} fails: {}\nreplay: cargo \
             run --release -p firmware-sim -- {}",
            failures.len(),
            least.failure.tail,
            setup.seed,
            failure.what,
            least.setup.to_string().trim_start_matches("firmware-sim ")
        );
    }
    (fired, disk)
}

#[test]
fn no_seed_breaks_what_must_hold() {
    // [F-LEN-5] [D-STORE-3] [E-CLOSE-3]
    let (fired, disk) = run(300, Kind::Drawn);
    if seeds(300).count() >= 100 {
        for (fault, times) in Fault::ALL.iter().zip(fired) {
            assert!(times > 0, "{fault:?} is switched on and never happens");
        }
        assert!(disk.iter().all(|&times| times > 0), "{disk:?}");
    }
}

#[test]
fn no_seed_breaks_what_must_hold_where_everything_is_full() {
    run(100, Kind::Tiny);
}

#[test]
fn a_fleet_under_every_fault_keeps_what_must_hold() {
    let setup = Setup {
        devices: Some(30),
        seconds: Some(3600),
        faults: Some(Fault::ALL.iter().copied().collect()),
        ..Setup::new(Kind::Fleet, 1)
    };
    for is_on_disk in [true, false] {
        let setup = Setup {
            is_on_disk: Some(is_on_disk),
            ..setup.clone()
        };
        let report = setup.run().unwrap_or_else(|failure| {
            let tail = setup.replay().err().map(|again| again.tail);
            panic!("{setup}: {failure:?}\n{}", tail.unwrap_or_default())
        });
        assert!(report.entries > 1000 && report.starts > 1, "{report}");
        assert_eq!(
            setup.run().map(|again| again.to_string()),
            Ok(report.to_string())
        );
    }
}
