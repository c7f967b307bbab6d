//! The figures of one run, and of several.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Quantiles of a time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

impl Quantiles {
    /// Of times in microseconds; `None` when there are none.
    pub(super) fn of(times_us: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| times_us.value_at_quantile(quantile) as f64 / 1_000.0;
        let max = times_us.max() as f64 / 1_000.0;
        (!times_us.is_empty()).then(|| Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p99_9: at(0.999), max })
    }
}

/// Adds a time to a histogram of microseconds that grows as it has to.
pub(super) fn record(times_us: &mut Histogram<u64>, time: Duration) {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    // A histogram that grows takes every time up to thousands of years.
    let _ = times_us.record(us.max(1));
}

/// What was run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Variant {
    /// The server on SQLite.
    Sqlite,
    /// The server with its ledger in memory.
    Memory,
    /// Servers on PostgreSQL.
    Postgres,
    /// Servers on PostgreSQL, with Kafka between ledger and roles.
    #[serde(rename = "postgres+kafka")]
    PostgresKafka,
    /// A server that is running already.
    Running,
    /// The bare echo.
    Echo,
}

impl Variant {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
            Self::PostgresKafka => "postgres+kafka",
            Self::Running => "running",
            Self::Echo => "echo",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) variant: Variant,
    /// Answered with success per second, in the measured window.
    pub(super) accepted_per_second: f64,
    /// Mails per second, from the begin of the window to the mail of the last accepted order.
    pub(super) fulfilled_per_second: Option<f64>,
    /// From the request to its whole answer; in an open loop from when the request was due.
    pub(super) accept_ms: Option<Quantiles>,
    /// From the answer to the mail, of one order in eight.
    pub(super) mailed_ms: Option<Quantiles>,
    /// Accepted in the window.
    pub(super) accepted: u64,
    /// Accepted orders, warm-up included, whose mail did not come.
    pub(super) unmailed: Option<u64>,
    /// Answered 4xx.
    pub(super) refused_4xx: u64,
    /// Answered 503.
    pub(super) shed_503: u64,
    /// Answered 5xx otherwise.
    pub(super) failed_5xx: u64,
    /// Not answered: the connection broke.
    pub(super) broken: u64,
    /// Due in an open loop and never sent, as no connection was free.
    pub(super) unsent: u64,
    /// From the start of the process until it was ready.
    pub(super) ready_ms: Option<f64>,
    /// Memory of the ready server before any load.
    pub(super) idle_memory_bytes: Option<u64>,
    /// Memory at the end.
    pub(super) memory_bytes: Option<u64>,
    /// The most memory there was.
    pub(super) memory_peak_bytes: Option<u64>,
    /// Cores that the server kept in use, from the begin of the load to the last mail: 1.0 is one core in full use.
    pub(super) server_cores: Option<f64>,
    /// Of `ordermill.db` after the stop, by all orders in it.
    pub(super) database_bytes_per_order: Option<f64>,
    /// What PostgreSQL had to do for each order.
    pub(super) postgres: Option<Work>,
}

/// What PostgreSQL counted, by all orders taken, the warm-up's included. What is done for them afterwards counts as far as it came.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Work {
    /// Transactions committed, those that only read included.
    pub(super) commits_per_order: f64,
    /// Syncs of the log: what the commits that wrote had to wait for. One syncs for all that come meanwhile.
    pub(super) wal_syncs_per_order: f64,
    /// Bytes written to the log.
    pub(super) wal_bytes_per_order: f64,
    /// Statements; counted where `pg_stat_statements` is loaded.
    pub(super) statements_per_order: Option<f64>,
}

impl Figures {
    /// What runs are compared by.
    pub(super) fn rate(&self) -> f64 {
        self.fulfilled_per_second.unwrap_or(self.accepted_per_second)
    }
}

/// Several runs of one thing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Series {
    /// The run in the middle, by its rate.
    #[serde(flatten)]
    pub(super) median: Figures,
    /// The slowest and the fastest rate.
    pub(super) spread_per_second: [f64; 2],
}

impl Series {
    /// Of the runs of one variant; `None` when there are none.
    pub(super) fn of(runs: &[Figures], variant: Variant) -> Option<Self> {
        let mut runs: Vec<&Figures> = runs.iter().filter(|run| run.variant == variant).collect();
        runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
        let (slowest, fastest) = (runs.first()?.rate(), runs.last()?.rate());
        let median = runs[(runs.len() - 1) / 2].clone();
        Some(Self { median, spread_per_second: [slowest, fastest] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(variant: Variant, rate: f64) -> Figures {
        Figures {
            variant,
            accepted_per_second: rate * 2.0,
            fulfilled_per_second: (variant != Variant::Echo).then_some(rate),
            accept_ms: None,
            mailed_ms: None,
            accepted: 0,
            unmailed: None,
            refused_4xx: 0,
            shed_503: 0,
            failed_5xx: 0,
            broken: 0,
            unsent: 0,
            ready_ms: None,
            idle_memory_bytes: None,
            memory_bytes: None,
            memory_peak_bytes: None,
            server_cores: None,
            database_bytes_per_order: None,
            postgres: None,
        }
    }

    #[test]
    fn the_median_run_stands_for_all() {
        let runs = [(Variant::Sqlite, 3.0), (Variant::Echo, 100.0), (Variant::Sqlite, 9.0), (Variant::Sqlite, 5.0)];
        let runs = runs.map(|(variant, rate)| run(variant, rate));
        let series = Series::of(&runs, Variant::Sqlite).expect("there are runs");
        assert_eq!((series.median.rate(), series.spread_per_second), (5.0, [3.0, 9.0]));
        assert_eq!(Series::of(&runs, Variant::Echo).expect("one run").median.rate(), 200.0);
        assert!(Series::of(&runs, Variant::Memory).is_none());
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut times = Histogram::new(3).expect("a histogram");
        assert_eq!(Quantiles::of(&times), None);
        (1..=1_000).for_each(|number| record(&mut times, Duration::from_micros(number * 100)));
        let quantiles = Quantiles::of(&times).expect("there are times");
        assert!((quantiles.p50 - 50.0).abs() < 0.1 && (quantiles.p99 - 99.0).abs() < 0.1, "{quantiles:?}");
    }
}
