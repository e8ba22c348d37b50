//! The `halloo` command: a hub, a chat at the terminal, and an echo probe.

mod chat;
mod echo;
mod failure;
mod output;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Stands under every help text.
const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  the job failed: a post was not acknowledged, an echo was lost or wrong
  2  it could not start: bad arguments, a name without address,
     a port in use, a path that is no socket
  3  the connection was refused, timed out or was lost for good";

/// Messages for small devices: a hub, a chat, and an echo probe.
#[derive(Debug, Parser)]
#[command(name = "halloo", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
struct Cli {
    /// What to log on stderr; the variable RUST_LOG goes before it.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "warn")]
    log: Level,
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
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.log);
    let outcome = match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Echo(args) => echo::run(args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(text) = failure.text() {
                output::complain(&format!("error: {text}"));
            }
            failure.exit_code()
        }
    }
}

fn log_to_stderr(level: Level) {
    let level = match level {
        Level::Off => "off",
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(said) if !said.is_empty() => EnvFilter::new(said),
        _ => EnvFilter::new(level),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
