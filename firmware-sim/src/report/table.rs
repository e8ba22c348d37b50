//! A report as a table for people: 80 columns wide and 24 lines long, so that it fits a terminal.

use std::fmt::{self, Display, Formatter};

use super::{EchoReport, HubReport, Percentiles, Report};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.write_fleet(f)?;
        writeln!(f)?;
        self.write_posts(f)?;
        writeln!(f)?;
        self.write_times(f)?;
        let has_sent = |echo: &&EchoReport| echo.stream.sent + echo.datagram.sent > 0;
        if let Some(echo) = self.echo.as_ref().filter(has_sent) {
            echo.fmt(f)?;
        }
        if let Some(hub) = &self.hub {
            hub.fmt(f)?;
        }
        writeln!(f)?;
        writeln!(f, "verdict: {}", self.verdict())
    }
}

impl Report {
    fn write_fleet(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kinds = &self.devices_by_kind;
        let [sensors, actuators, talkers, probes] =
            [kinds.sensors, kinds.actuators, kinds.talkers, kinds.probes].map(grouped);
        let some = format_args!("{sensors} sensors, {actuators} actuators,");
        row(f, "devices", grouped(self.devices), some)?;
        let others = format_args!("{talkers} talkers, {probes} echo probes");
        row(f, "", "", others)?;
        let seconds = format_args!("{:.1} s", self.seconds);
        row(
            f,
            "posting time",
            seconds,
            format_args!("seed {}", self.seed),
        )
    }

    fn write_posts(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let pace = self.posts as f64 / self.seconds.max(1e-3);
        let pace = format_args!("{} per second", grouped(pace as u64));
        row(f, "posts sent", grouped(self.posts), pace)?;
        row(f, "acknowledged", grouped(self.acknowledged), "")?;
        let expected = "one for each acknowledged post and each member";
        row(f, "expected", grouped(self.expected), expected)?;
        row(f, "delivered", grouped(self.delivered), "")?;
        row(f, "lost", grouped(self.lost), "")?;
        row(f, "doubled", grouped(self.doubled), "")?;
        row(f, "out of order", grouped(self.out_of_order), "")?;
        let cuts = format_args!("{} connections cut on purpose", grouped(self.cuts));
        row(f, "reconnects", grouped(self.reconnects), cuts)?;
        let held_back = "posts that a full outbox did not take";
        let missed = format_args!("entries, in {} gaps that the hub told of", self.gaps);
        let rare: [(&str, u64, &dyn Display); 8] = [
            ("rejected", self.rejected, &"posts that the hub refused"),
            (
                "no answer",
                self.unacknowledged,
                &"posts without acknowledgement",
            ),
            ("held back", self.held_back, &held_back),
            ("in gaps", self.missed, &missed),
            ("strayed", self.strayed, &"deliveries in a wrong room"),
            ("foreign", self.foreign, &"entries that no device posted so"),
            (
                "not joined",
                self.not_joined,
                &"devices that were not in their rooms",
            ),
            (
                "new stores",
                self.store_changes,
                &"times that the hub had lost its log",
            ),
        ];
        for (name, count, note) in rare.into_iter().filter(|(_, count, _)| *count > 0) {
            row(f, name, grouped(count), note)?;
        }
        Ok(())
    }

    fn write_times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let echo = self.echo.map(|echo| echo.rtt_us).unwrap_or_default();
        let times = [
            ("post to ack", self.rtt_us),
            ("post to delivery", self.delivery_us),
            ("echo", echo),
        ];
        if times.iter().all(|(_, times)| times.count == 0) {
            return Ok(());
        }
        let [a, b, c, d] = ["p50", "p99", "p99.9", "max"];
        writeln!(f, "{:<18}{a:>11}{b:>11}{c:>11}{d:>11}", "round trip")?;
        for (name, times) in times.iter().filter(|(_, times)| times.count > 0) {
            let Percentiles {
                p50,
                p99,
                p999,
                max,
                ..
            } = *times;
            let [a, b, c, d] = [p50, p99, p999, max].map(span);
            writeln!(f, "  {name:<16}{a:>11}{b:>11}{c:>11}{d:>11}")?;
        }
        Ok(())
    }
}

impl Display for EchoReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of = |received: u64, sent: u64| format!("{} of {}", grouped(received), grouped(sent));
        let [tcp, udp] = [self.stream, self.datagram].map(|c| of(c.received, c.sent));
        let all = grouped(self.stream.received + self.datagram.received);
        row(f, "echo replies", all, format_args!("TCP {tcp}, UDP {udp}"))
    }
}

impl Display for HubReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let percent = format_args!("{:.1} %", self.cpu_percent);
        if self.cpu_us_per_post > 0.0 {
            let each = format_args!("of one core, {:.1} µs for each post", self.cpu_us_per_post);
            row(f, "hub CPU", percent, each)?;
        } else {
            row(f, "hub CPU", percent, "of one core")?;
        }
        let memory = format_args!("{} B", grouped(self.memory_per_connection as u64));
        let most = grouped(self.connections as u64);
        let note = format_args!("for each connection, {most} at the same time");
        row(f, "hub memory", memory, note)
    }
}

/// A name, a value with its last digit in column 27, and a note.
fn row(f: &mut Formatter<'_>, name: &str, value: impl Display, note: impl Display) -> fmt::Result {
    let value = value.to_string();
    let line = format!("{name:<14}{value:>13}   {note}");
    writeln!(f, "{}", line.trim_end())
}

/// A time with a unit that leaves it short.
fn span(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A number in groups of three digits.
fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [
            (0_u64, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn times_have_the_unit_that_leaves_them_short() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1049, "1.0 ms"),
            (334_591, "334.6 ms"),
            (1_234_567, "1.23 s"),
        ] {
            assert_eq!(span(micros), text);
        }
    }
}
