//! What a run has shown: numbers, a table, and a verdict.

use halloo_core::echo;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Config;
use crate::fleet::{Kinds, Plan, Tally};
use crate::ledger::audit;

mod table;

/// What a run has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// How many devices there were.
    pub devices: u32,
    /// Of each kind.
    pub devices_by_kind: Kinds,
    /// What the run came from.
    pub seed: u64,
    /// How long devices posted, in seconds.
    pub seconds: f64,
    /// Posts that outboxes took.
    pub posts: u64,
    /// Posts that the hub has acknowledged.
    pub acknowledged: u64,
    /// Posts that the hub has refused.
    pub rejected: u64,
    /// Posts without a verdict at the end.
    pub unacknowledged: u64,
    /// Posts that a full outbox did not take. They were never made: no fault, but a device that is
    /// held back cannot keep its rate.
    pub held_back: u64,
    /// Deliveries that acknowledged posts call for: one for each member, the author included.
    pub expected: u64,
    /// Those of them that applications were handed.
    pub delivered: u64,
    /// Those that they were not, though no gap was announced.
    pub lost: u64,
    /// Deliveries of what was delivered before, or never posted.
    pub doubled: u64,
    /// Deliveries out of order.
    pub out_of_order: u64,
    /// Gaps that the hub has announced.
    pub gaps: u64,
    /// Entries in those gaps.
    pub missed: u64,
    /// Deliveries in a room that they were not posted to.
    pub strayed: u64,
    /// Entries that others have posted.
    pub foreign: u64,
    /// Devices that were not in all their rooms when posting began.
    pub not_joined: u64,
    /// Connections that were cut on purpose.
    pub cuts: u64,
    /// Times that a device came back after a lost connection.
    pub reconnects: u64,
    /// Times that a device met another log than before: the hub lost or restored its store.
    pub store_changes: u64,
    /// From a post to its acknowledgement, waits while a connection was lost included.
    pub rtt_us: Percentiles,
    /// From a post to its delivery at each other member.
    pub delivery_us: Percentiles,
    /// Echo, if it was measured.
    pub echo: Option<EchoReport>,
    /// The hub, if it ran in this process.
    pub hub: Option<HubReport>,
}

/// Times in microseconds; zero when there were none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// How many there were.
    pub count: u64,
    /// Half are at most this.
    pub p50: u64,
    /// 99 of 100 are at most this.
    pub p99: u64,
    /// 999 of 1,000 are at most this.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

/// What probes of echo have counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EchoReport {
    /// Probes over TCP or Unix streams.
    pub stream: EchoCounts,
    /// Probes over UDP.
    pub datagram: EchoCounts,
    /// From a probe to its reply.
    pub rtt_us: Percentiles,
}

/// Probes over one transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct EchoCounts {
    /// Probes sent.
    pub sent: u64,
    /// Right replies in time.
    pub received: u64,
    /// Probes without one. Datagrams may be lost, and that is no fault.
    pub lost: u64,
    /// Right replies that came again or out of turn.
    pub disordered: u64,
    /// Replies with a wrong byte, and bytes that nobody waits for.
    pub corrupt: u64,
}

/// What the hub in this process has used while devices posted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HubReport {
    /// Its thread's processor time, in percent of one core.
    pub cpu_percent: f64,
    /// Its thread's processor time for each post, in microseconds; 0 without posts.
    pub cpu_us_per_post: f64,
    /// The most connections at the same time, echo included.
    pub connections: usize,
    /// Bytes for each connection, its share of the buffers in use included, without the system's.
    pub memory_per_connection: usize,
    /// Bytes that were taken at the start, logs included; they are used as they are written.
    pub memory_fixed: usize,
}

impl Report {
    /// The report of a run whose hub is not known.
    pub(crate) fn new(config: &Config, plan: &Plan, tally: Tally, seconds: f64) -> Self {
        let totals = audit(tally.pages);
        let [stream, datagram] = tally.echo;
        Self {
            devices: plan.kinds.all(),
            devices_by_kind: plan.kinds,
            seed: config.seed,
            seconds,
            posts: totals.posts,
            acknowledged: totals.acknowledged,
            rejected: totals.rejected,
            unacknowledged: totals.unacknowledged,
            held_back: tally.held_back,
            expected: totals.expected,
            delivered: totals.delivered,
            lost: totals.lost,
            doubled: totals.doubled,
            out_of_order: totals.out_of_order,
            gaps: totals.gaps,
            missed: totals.missed,
            strayed: totals.strayed,
            foreign: totals.foreign,
            not_joined: tally.not_joined,
            cuts: tally.live.cuts.get(),
            reconnects: tally.live.reconnects.get(),
            store_changes: tally.live.store_changes.get(),
            rtt_us: Percentiles::of(&tally.round_trip),
            delivery_us: Percentiles::of(&tally.delivery),
            echo: config.has_echo().then(|| EchoReport {
                stream: EchoCounts::of(&stream),
                datagram: EchoCounts::of(&datagram),
                rtt_us: Percentiles::of(&tally.echo_time),
            }),
            hub: None,
        }
    }

    /// Whether nothing was lost, doubled or out of order, and nothing is open.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.faults().is_empty()
    }

    /// What was wrong, each in a few words.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let echo = self.echo.unwrap_or_default();
        let echo_wrong = echo.stream.lost
            + [echo.stream, echo.datagram]
                .iter()
                .map(|counts| counts.corrupt + counts.disordered)
                .sum::<u64>();
        // Whatever the counts of single faults say, the sum has to come out.
        let unexplained = self
            .expected
            .saturating_sub(self.delivered)
            .saturating_sub(self.lost)
            .saturating_sub(self.missed);
        [
            (self.lost, "lost"),
            (self.doubled, "doubled"),
            (self.out_of_order, "out of order"),
            (self.missed, "fell off the room's log, and the hub said so"),
            (unexplained, "not delivered"),
            (self.strayed, "in a wrong room"),
            (self.unacknowledged, "not acknowledged in time"),
            (self.rejected, "rejected"),
            (self.not_joined, "devices not in their rooms"),
            (echo_wrong, "echoes lost or wrong"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
    }

    /// The last line of the table.
    #[must_use]
    pub fn verdict(&self) -> String {
        let faults = self.faults();
        if !faults.is_empty() {
            return faults.join(", ");
        }
        if self.acknowledged == 0 {
            return "nothing was posted, so nothing was shown".into();
        }
        "nothing lost, nothing doubled, all in order".into()
    }

    /// As JSON, with the verdict.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'r> {
            #[serde(flatten)]
            report: &'r Report,
            ok: bool,
            verdict: String,
        }
        let whole = Whole {
            report: self,
            ok: self.is_good(),
            verdict: self.verdict(),
        };
        // Numbers and texts: there is nothing that JSON could not hold.
        serde_json::to_string_pretty(&whole).unwrap_or_default()
    }
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl EchoCounts {
    pub(crate) const fn of(report: &echo::Report) -> Self {
        Self {
            sent: report.sent,
            received: report.received,
            lost: report.lost,
            disordered: report.duplicated + report.reordered,
            corrupt: report.corrupt + report.surplus,
        }
    }
}

#[cfg(test)]
mod tests;
