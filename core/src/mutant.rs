//! Breaks one rule on purpose, so that the tests can show that they see it.
//!
//! Only a compiler that is given `--cfg halloo_mutants` builds the mutants; for all others the question
//! is a constant, and costs nothing. Such a build is broken in the way that `HALLOO_TEST_MUTANT` names
//! when it runs, and in none without that. `.ci/mutants` runs each and wants it caught.

/// Whether this is the mutant of that name.
#[cfg(not(halloo_mutants))]
#[inline(always)]
pub(crate) const fn is(_name: &str) -> bool {
    false
}

/// Whether this is the mutant of that name.
#[cfg(halloo_mutants)]
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<std::string::String>> =
        std::sync::LazyLock::new(|| std::env::var("HALLOO_TEST_MUTANT").ok());
    CHOSEN.as_deref() == Some(name)
}
