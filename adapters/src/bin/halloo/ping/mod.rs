//! `halloo ping`: ICMP echo, as ping does it.

mod icmp;
mod run;
mod times;

use std::net::SocketAddr;
use std::time::Duration;

use halloo_std::socket::resolve;

use super::EXIT_CODES;
use super::failure::Failure;
use icmp::Icmp;
use run::Run;

/// Ask a host over ICMP whether it is there, and how long its answers take
///
/// Prints a line for each answer and, at the end or on Ctrl-C, the statistics
/// that ping prints. It ends well if at least one answer came; none at all is
/// exit code 4. It needs the right to send ICMP: the system's setting
/// net.ipv4.ping_group_range has this user's group, or the program has the
/// capability cap_net_raw, or root runs it; else exit code 8.
///
/// Examples:
///   halloo ping 192.0.2.7
///   halloo ping ::1 -c 5 -i 0.2
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, verbatim_doc_comment)]
pub(crate) struct Args {
    /// A name or an address
    host: String,
    /// Stop after so many [default: on Ctrl-C]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// The time from one to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// How long to wait for an answer
    #[arg(short = 'W', long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    timeout: Duration,
    /// The bytes of data in each, 4 to 65507
    #[arg(short, long, value_name = "BYTES", default_value_t = 56,
          value_parser = clap::value_parser!(u16).range(4..=65_507))]
    size: u16,
    /// Print the statistics only
    #[arg(short, long)]
    quiet: bool,
    /// Take an IPv4 address of the name
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Take an IPv6 address of the name
    #[arg(short = '6')]
    ipv6: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let to = address(args)?;
    let icmp = Icmp::open(to)?;
    let mut run = Run::new(args, icmp)?;
    let outcome = run.exchange();
    run.end(outcome)
}

fn address(args: &Args) -> Result<SocketAddr, Failure> {
    let wanted = |to: &SocketAddr| match (args.ipv4, args.ipv6) {
        (true, _) => to.is_ipv4(),
        (_, true) => to.is_ipv6(),
        _ => true,
    };
    let host = args
        .host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let found = resolve(host.unwrap_or(&args.host), 0)?;
    found.into_iter().find(wanted).ok_or_else(|| {
        let family = if args.ipv4 { "IPv4" } else { "IPv6" };
        Failure::Unresolved(format!("the name {:?} has no {family} address", args.host))
    })
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let wrong = "a good time is 1, 0.2 or 10, from 0.001 to 86400";
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    if (0.001..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wrong)
    }
}
