//! Devices and a hub against each other in virtual time.

use halloo_tests::net::{Fault, replay, run_seed};

/// How many seeds are run.
const SEEDS: u64 = 300;

/// The seed of `HALLOO_SEED` alone, or all.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    match (number("HALLOO_SEED"), number("HALLOO_SEEDS")) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, count) => 0..count.unwrap_or(SEEDS),
    }
}

#[test]
fn no_seed_breaks_what_must_hold() {
    let mut fired = vec![0; Fault::ALL.len()];
    let mut counts = [0; 7];
    let mut failures = Vec::new();
    for seed in seeds() {
        match run_seed(seed) {
            Ok(outcome) => {
                fired
                    .iter_mut()
                    .zip(&outcome.fired)
                    .for_each(|(sum, n)| *sum += n);
                counts
                    .iter_mut()
                    .zip(&outcome.counts)
                    .for_each(|(sum, n)| *sum += n);
                // A tenth run twice: chance has no other source than the seed.
                if seed % 10 == 0 {
                    assert_eq!(
                        run_seed(seed),
                        Ok(outcome),
                        "seed {seed} runs otherwise again"
                    );
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    for failure in &failures {
        println!("seed {}: {}", failure.seed, failure.what);
    }
    println!("{:?}", Fault::ALL.iter().zip(&fired).collect::<Vec<_>>());
    println!("{counts:?}");
    if let Some(first) = failures.first() {
        let tail = replay(first.seed).map_or_else(|again| again.tail, |_| String::new());
        panic!(
            "{} seeds fail; the end of the first one:\n{tail}\nseed {} fails: {}\nreplay: \
             HALLOO_SEED={} cargo test -p halloo-tests --test net no_seed",
            failures.len(),
            first.seed,
            first.what,
            first.seed
        );
    }
}
