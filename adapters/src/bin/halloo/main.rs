//! The `halloo` command: a hub, a chat at the terminal, an echo probe, and small tools for sockets.

mod chat;
mod config;
mod connect;
mod data;
mod echo;
mod failure;
mod get;
mod input;
mod log;
mod output;
mod ping;
mod serve;
mod shell;

use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Stands under every help text.
const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  the job failed: a post was not acknowledged, an echo was lost or wrong,
     the disk failed under a hub, a log is damaged, a page was not found
  2  it could not start: bad arguments, no permission, a port in use, a path
     that is no socket, a data folder that is in use, damaged, or of a newer hub
  3  refused: nothing listens there, or the hub turned this device away
  4  timed out: no answer
  5  the connection was lost or reset, or what answered is not what was meant
  6  unresolved: the name has no address (of a listener: 2)
  7  unreachable: no way to the host
  8  forbidden: the system keeps ICMP from this user";

/// Messages for small devices: a hub, a chat, and tools for sockets
///
/// Example, in three terminals:
///   halloo serve --listen chat+tcp://127.0.0.1:7007
///   halloo chat chat+tcp://127.0.0.1:7007 --room lab --name ann
///   halloo chat chat+tcp://127.0.0.1:7007 --room lab --name bob
#[derive(Debug, Parser)]
#[command(
    name = "halloo",
    version,
    after_help = EXIT_CODES,
    color = output::help_colour(),
    disable_help_subcommand = true,
    verbatim_doc_comment
)]
struct Cli {
    /// What to log on stderr [default: as RUST_LOG says, or warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<Level>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Chat(chat::Args),
    Echo(echo::Args),
    Log(log::Args),
    Connect(connect::Args),
    Get(get::Args),
    Ping(ping::Args),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    log_to_stderr(cli.log);
    let outcome = match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Echo(args) => echo::run(args),
        Command::Log(args) => log::run(args),
        Command::Connect(args) => connect::run(args),
        Command::Get(args) => get::run(args),
        Command::Ping(args) => ping::run(args),
        Command::Completions(args) => shell::completions(args, Cli::command()),
        Command::Man(args) => shell::man(args, Cli::command()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.text() {
                // It quotes URLs and files.
                let text = output::harmless(text.as_bytes());
                output::complain(&format!("error: {text}"));
            }
            failure.exit_code()
        }
    }
}

/// Prints the help that was asked for, or what is wrong with the arguments, in one line.
fn explain(error: &clap::Error) -> ExitCode {
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || !error.use_stderr() {
        // There is nobody to tell if that fails.
        let _ = error.print();
        return ExitCode::from(if is_help { 2 } else { 0 });
    }
    let line = one_line(&error.to_string());
    output::complain(&output::harmless(line.as_bytes()));
    ExitCode::from(2)
}

/// What clap says in several lines, without its usage, which `--help` has.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for part in text.lines().map(str::trim) {
        if part.is_empty() || part.starts_with("Usage:") || part.starts_with("For more") {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if line.ends_with(':') { " " } else { ", " });
        }
        line.push_str(part);
    }
    line.push_str(" (--help tells more)");
    line
}

fn log_to_stderr(level: Option<Level>) {
    let said = std::env::var("RUST_LOG").ok().filter(|s| !s.is_empty());
    let filter = match (level, said) {
        (Some(level), _) => EnvFilter::new(level.name()),
        (None, Some(said)) => EnvFilter::new(said),
        (None, None) => EnvFilter::new(Level::Warn.name()),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(output::is_coloured(&io::stderr()))
        .with_writer(output::Log::default)
        .init();
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_are_told_in_one_line() {
        let check = |args: &[&str], expected: &str| {
            let error = Cli::try_parse_from(args).unwrap_err();
            assert_eq!(one_line(&error.to_string()), expected);
        };
        check(
            &["halloo", "chat"],
            "error: the following required arguments were not provided: --room <ROOM>, \
             --name <NAME>, <URL> (--help tells more)",
        );
        check(
            &["halloo", "serve", "--log", "loud"],
            "error: invalid value 'loud' for '--log <LEVEL>', [possible values: off, error, warn, \
             info, debug, trace] (--help tells more)",
        );
        check(
            &["halloo", "serve", "--liste", "x"],
            "error: unexpected argument '--liste' found, tip: a similar argument exists: \
             '--listen' (--help tells more)",
        );
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
