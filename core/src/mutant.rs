//! Breaks one rule on purpose, so that the tests can show that they see it.
//!
//! Only a compiler that has `HALLOO_TEST_MUTANT` in its environment builds a mutant; for all others
//! the question is a constant, and costs nothing. `.ci/mutants` builds each and wants it caught.

/// Whether this build is the mutant of that name.
#[inline(always)]
pub(crate) fn is(name: &str) -> bool {
    option_env!("HALLOO_TEST_MUTANT") == Some(name)
}
