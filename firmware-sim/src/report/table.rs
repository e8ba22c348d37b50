//! A report as a table for people: one number on a line.

use std::fmt;

use super::{EchoReport, HubReport, Percentiles, Report};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = &self.devices_by_kind;
        row(f, "devices", thousands(u64::from(self.devices)))?;
        row(f, "  sensors", thousands(u64::from(kinds.sensors)))?;
        row(f, "  actuators", thousands(u64::from(kinds.actuators)))?;
        row(f, "  talkers", thousands(u64::from(kinds.talkers)))?;
        row(f, "  echo probes", thousands(u64::from(kinds.probes)))?;
        row(f, "seed", self.seed)?;
        row(f, "posting time", format_args!("{:.1} s", self.seconds))?;
        row(f, "posts sent", thousands(self.posts))?;
        row(f, "  acknowledged", thousands(self.acknowledged))?;
        row(f, "  rejected", thousands(self.rejected))?;
        row(f, "  unacknowledged", thousands(self.unacknowledged))?;
        row(f, "  held back", thousands(self.held_back))?;
        row(f, "deliveries expected", thousands(self.expected))?;
        row(f, "  delivered", thousands(self.delivered))?;
        row(f, "  lost", thousands(self.lost))?;
        row(f, "  doubled", thousands(self.doubled))?;
        row(f, "  out of order", thousands(self.out_of_order))?;
        row(f, "  in announced gaps", thousands(self.missed))?;
        row(f, "gaps", thousands(self.gaps))?;
        let reconnects = thousands(self.reconnects);
        row(
            f,
            "reconnects",
            format_args!("{reconnects} ({} cut on purpose)", thousands(self.cuts)),
        )?;
        let rare = [
            ("in a wrong room", self.strayed),
            ("posts of others", self.foreign),
            ("devices not joined", self.not_joined),
            ("changes of store", self.store_changes),
        ];
        for (name, count) in rare.iter().filter(|(_, count)| *count > 0) {
            row(f, name, thousands(*count))?;
        }
        times(f, "post to ack", &self.rtt_us)?;
        times(f, "post to delivery", &self.delivery_us)?;
        if let Some(echo) = &self.echo {
            echo.fmt(f)?;
        }
        if let Some(hub) = &self.hub {
            hub.fmt(f)?;
        }
        row(f, "verdict", self.verdict())
    }
}

impl fmt::Display for EchoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, counts) in [
            ("echo over tcp", &self.stream),
            ("echo over udp", &self.datagram),
        ] {
            if counts.sent > 0 {
                let (received, sent) = (thousands(counts.received), thousands(counts.sent));
                row(f, name, format_args!("{received} of {sent} came back"))?;
            }
        }
        times(f, "echo round trip", &self.rtt_us)
    }
}

impl fmt::Display for HubReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = format_args!(
            "{:.1} % of a core, {:.1} µs per post",
            self.cpu_percent, self.cpu_us_per_post
        );
        row(f, "hub processor", cpu)?;
        let (each, most) = (
            thousands(self.memory_per_connection as u64),
            thousands(self.connections as u64),
        );
        row(
            f,
            "hub memory",
            format_args!("{each} bytes per connection, {most} connections"),
        )
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{name:<22}{value}")
}

fn times(f: &mut fmt::Formatter<'_>, name: &str, times: &Percentiles) -> fmt::Result {
    if times.count == 0 {
        return Ok(());
    }
    let [p50, p99, p999] = [times.p50, times.p99, times.p999].map(thousands);
    row(
        f,
        name,
        format_args!("p50 {p50} µs, p99 {p99} µs, p99.9 {p999} µs"),
    )
}

/// A number in groups of three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
