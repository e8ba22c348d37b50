//! Apart from what they test, which the fuzzer includes.

mod gateway;
mod translate;
