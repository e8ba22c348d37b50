//! `firmware-sim`: see `--help`.
#![forbid(unsafe_code)]

mod args;
mod progress;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use firmware_sim::{Report, SimError, Watch};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tracing_subscriber::EnvFilter;

use args::Args;
use progress::Show;

fn main() -> ExitCode {
    let args = Args::parse();
    let code = run(&args).and_then(|report| print(&args, &report));
    match code {
        Ok(code) => code,
        Err(error) => {
            let known = error.downcast_ref::<SimError>();
            let code = known.map_or(2, SimError::exit_code);
            // Without standard error, the code has to do.
            let _ = writeln!(io::stderr(), "firmware-sim: {error}");
            code.into()
        }
    }
}

fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let filter = EnvFilter::try_new(&args.log).map_err(|_| {
        format!(
            "--log {} is no filter: try debug, or firmware_sim=debug",
            args.log
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let config = args.config()?;
    let watch = Watch::new();
    stop_on_signal(&watch.flag())?;
    let show = Show::start(watch.clone(), config.devices, config.time);
    let report = firmware_sim::run_watched(&config, &watch);
    drop(show);
    Ok(report?)
}

fn print(args: &Args, report: &Report) -> Result<ExitCode, Box<dyn Error>> {
    if let Some(file) = &args.json {
        std::fs::write(file, report.to_json() + "\n")
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    match write!(io::stdout(), "{report}") {
        // Whoever has read enough has read enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The first signal ends posting and leads to the report; the second ends the process.
fn stop_on_signal(stop: &Arc<AtomicBool>) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag down and raises it, the second finds it up.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(stop))?;
        flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}
