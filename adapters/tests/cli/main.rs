//! The command `halloo` as real processes: what it says, how it ends, and two people who chat.

mod bad_input;
mod chat;
mod data;
mod echo;
mod faults;
mod kill;
mod process;
mod python;
mod readme;
mod serve;
mod terminal;
mod tutorials;
mod typing;
