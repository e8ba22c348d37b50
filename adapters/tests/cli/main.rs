//! The command `halloo` as real processes: what it says, how it ends, and two people who chat.

mod bad_input;
mod chat;
mod connect;
mod data;
mod echo;
mod faults;
mod get;
mod json_client;
mod kill;
mod ping;
mod process;
mod python;
mod python_servers;
mod readme;
mod room_chat;
mod serve;
mod servers;
mod shell;
mod terminal;
mod tutorials;
mod typing;
