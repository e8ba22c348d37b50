//! `firmware-sim`: see `--help`.
#![forbid(unsafe_code)]

mod args;
mod progress;
mod virtual_world;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use firmware_sim::{SimError, Watch};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tracing_subscriber::EnvFilter;

use args::{Args, Command};
use progress::Show;

fn main() -> ExitCode {
    match run() {
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

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::read()?;
    match &args.command {
        // The journal logs what the world makes it meet: only whoever asks is to see it.
        Some(Command::World(world)) => return world.run(),
        Some(Command::Soak(soak)) => return soak.run(),
        None => {}
    }
    log_to_stderr(&args.log)?;
    let config = args.config()?;
    // Before the run: a file that cannot be written would waste it.
    let json = args.json.as_deref().map(create).transpose()?;
    let watch = Watch::new();
    stop_on_signal(&watch.flag())?;
    let show = Show::start(&config, watch.clone());
    let report = firmware_sim::run_watched(&config, &watch);
    drop(show);
    let report = report?;
    if let Some((mut file, path)) = json {
        let text = report.to_json() + "\n";
        file.write_all(text.as_bytes()).map_err(unwritten(path))?;
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

fn log_to_stderr(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|_| format!("--log {filter} is no filter: try debug, or firmware_sim=debug"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(progress::is_coloured(&io::stderr()))
        .with_writer(io::stderr)
        .init();
    Ok(())
}

fn create(path: &Path) -> Result<(File, &Path), String> {
    let file = File::create(path).map_err(unwritten(path))?;
    Ok((file, path))
}

fn unwritten(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("cannot write {}: {error}", path.display())
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
