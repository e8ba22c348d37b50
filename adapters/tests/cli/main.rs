//! The command `halloo` as real processes: what it says, how it ends, and two people who chat.

mod bad_input;
mod chat;
mod colours;
mod connect;
mod connect_kinds;
mod data;
mod echo;
mod examples;
mod faults;
mod get;
mod json_client;
mod kill;
mod ping;
mod process;
mod python;
mod python_servers;
mod reach;
mod readme;
mod room_chat;
mod serve;
mod servers;
mod shell;
mod terminal;
mod tutorials;
mod typing;
mod wildcard;
