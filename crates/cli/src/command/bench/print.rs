//! The figures as a table for people.

use std::io;

use super::figures::{Figures, Quantiles, Series};
use super::import::Imported;
use crate::output::{self, Align, count};

const MIB: f64 = 1_048_576.0;

/// Prints several variants side by side.
pub(super) fn series(all: &[Series]) -> io::Result<()> {
    let mut columns = vec![("figure", Align::Left), ("unit", Align::Left)];
    columns.extend(all.iter().map(|series| (series.median.variant.as_str(), Align::Right)));
    let rows = FIGURES.iter().filter_map(|(name, unit, show)| {
        let shown: Vec<Option<String>> = all.iter().map(show).collect();
        // A figure that nothing has is left out.
        shown.iter().any(Option::is_some).then(|| {
            let cells = shown.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            [(*name).to_owned(), (*unit).to_owned()].into_iter().chain(cells).collect()
        })
    });
    output::table(&columns, rows.collect())
}

type Show = fn(&Series) -> Option<String>;

const FIGURES: &[(&str, &str, Show)] = &[
    ("fulfilled (mailed)", "orders/s", |series| series.median.fulfilled_per_second.map(rate)),
    ("accepted", "answers/s", |series| Some(rate(series.median.accepted_per_second))),
    ("slowest to fastest run", "per s", |series| {
        let [slowest, fastest] = series.spread_per_second;
        Some(format!("{} to {}", rate(slowest), rate(fastest)))
    }),
    ("accept p50", "ms", |series| ms(series.median.accept_ms, |times| times.p50)),
    ("accept p90", "ms", |series| ms(series.median.accept_ms, |times| times.p90)),
    ("accept p99", "ms", |series| ms(series.median.accept_ms, |times| times.p99)),
    ("accept p99.9", "ms", |series| ms(series.median.accept_ms, |times| times.p99_9)),
    ("accept max", "ms", |series| ms(series.median.accept_ms, |times| times.max)),
    ("answer to mail p50", "ms", |series| ms(series.median.mailed_ms, |times| times.p50)),
    ("answer to mail p99", "ms", |series| ms(series.median.mailed_ms, |times| times.p99)),
    ("answered 4xx", "answers", |series| Some(count(series.median.refused_4xx))),
    ("answered 503", "answers", |series| Some(count(series.median.shed_503))),
    ("answered 5xx otherwise", "answers", |series| Some(count(series.median.failed_5xx))),
    ("not answered", "requests", |series| Some(count(series.median.broken))),
    ("due and not sent", "requests", |series| Some(series.median.unsent).filter(|unsent| *unsent > 0).map(count)),
    ("accepted and not mailed", "orders", |series| series.median.unmailed.map(count)),
    ("start to ready", "ms", |series| series.median.ready_ms.map(|ms| format!("{ms:.0}"))),
    ("memory when idle", "MiB", |series| series.median.idle_memory_bytes.map(mib)),
    ("memory at the end", "MiB", |series| series.median.memory_bytes.map(mib)),
    ("memory at its peak", "MiB", |series| series.median.memory_peak_bytes.map(mib)),
    ("processor cores in use", "cores", |series| series.median.server_cores.map(|cores| format!("{cores:.2}"))),
    ("database", "bytes/order", |series| series.median.database_bytes_per_order.map(|bytes| format!("{bytes:.0}"))),
    ("commits, reads included", "per order", |series| {
        series.median.postgres.map(|work| format!("{:.3}", work.commits_per_order))
    }),
    ("syncs of the log", "per order", |series| {
        series.median.postgres.map(|work| format!("{:.3}", work.wal_syncs_per_order))
    }),
    ("statements", "per order", |series| {
        series.median.postgres.and_then(|work| work.statements_per_order).map(|count| format!("{count:.3}"))
    }),
    ("log", "bytes/order", |series| series.median.postgres.map(|work| format!("{:.0}", work.wal_bytes_per_order))),
];

fn rate(per_second: f64) -> String {
    count(per_second.round() as u64)
}

fn ms(times: Option<Quantiles>, of: fn(&Quantiles) -> f64) -> Option<String> {
    times.map(|times| format!("{:.2}", of(&times)))
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / MIB)
}

/// One line on a run that has just ended.
pub(super) fn run_line(figures: &Figures) -> String {
    let fulfilled = figures.fulfilled_per_second.map(|per_second| format!("{} mailed/s, ", rate(per_second)));
    let p99 = ms(figures.accept_ms, |times| times.p99).unwrap_or_else(|| "-".to_owned());
    let fulfilled = fulfilled.unwrap_or_default();
    format!("  {}: {fulfilled}{} accepted/s, p99 {p99} ms", figures.variant.as_str(), rate(figures.accepted_per_second))
}

/// Prints what imports took, side by side.
pub(super) fn imported(imports: &[&Imported]) -> io::Result<()> {
    let mut columns = vec![("figure", Align::Left), ("unit", Align::Left)];
    columns.extend(imports.iter().map(|import| (import.variant.as_str(), Align::Right)));
    let rows = IMPORT_FIGURES.iter().map(|(name, unit, show)| {
        let cells = imports.iter().map(|import| show(import));
        [(*name).to_owned(), (*unit).to_owned()].into_iter().chain(cells).collect()
    });
    output::table(&columns, rows.collect())
}

type ShowImport = fn(&Imported) -> String;

const IMPORT_FIGURES: &[(&str, &str, ShowImport)] = &[
    ("products", "products", |import| count(import.products)),
    ("time for the products", "s", |import| format!("{:.2}", import.products_seconds)),
    ("orders", "orders", |import| count(import.orders)),
    ("lines refused", "lines", |import| count(import.refused)),
    ("until the last was accepted", "s", |import| format!("{:.2}", import.accepted_seconds)),
    ("until the last was mailed", "s", |import| format!("{:.2}", import.fulfilled_seconds)),
    ("fulfilled (mailed)", "orders/s", |import| rate(import.fulfilled_per_second)),
    ("accepted and not mailed", "orders", |import| count(import.unmailed)),
    ("memory at its peak", "MiB", |import| import.memory_peak_bytes.map_or_else(|| "-".to_owned(), mib)),
];
