//! What several runs say together.

use serde_json::json;

use super::args::Args;
use super::figures::{Figures, Series, Variant};
use super::import::Imported;
use super::print;
use crate::output;

fn find(all: &[Series], variant: Variant) -> Option<&Figures> {
    all.iter().map(|series| &series.median).find(|figures| figures.variant == variant)
}

/// How the first stands against others, where they were run.
#[derive(Default)]
struct Ratios {
    echo: Option<f64>,
    /// The same on PostgreSQL without Kafka.
    ledger: Option<f64>,
    memory: Option<f64>,
}

impl Ratios {
    fn of(all: &[Series]) -> Self {
        let Some(own) = all.first().map(|series| &series.median) else { return Self::default() };
        let against = |variant| {
            let other = find(all, variant).filter(|_| own.variant != variant)?;
            Some(own.rate() / other.rate().max(f64::MIN_POSITIVE))
        };
        Self { echo: against(Variant::Echo), ledger: against(Variant::Postgres), memory: against(Variant::Memory) }
    }
}

/// The tables and ratios, for people.
pub(super) fn print_all(all: &[Series]) -> std::io::Result<()> {
    print::series(all)?;
    let Ratios { echo, ledger, memory } = Ratios::of(all);
    for (ratio, of) in [
        (echo, "the bare JSON echo"),
        (ledger, "the same ledger without Kafka"),
        (memory, "the same server with its ledger in memory"),
    ] {
        if let Some(ratio) = ratio {
            output::line(format_args!("{:.1} % of {of}", ratio * 100.0))?;
        }
    }
    Ok(())
}

/// The same for programs.
pub(super) fn summary(args: &Args, all: &[Series], runs: &[Figures]) -> serde_json::Value {
    let ratios = Ratios::of(all);
    let mut summary = json!({
        "connections": args.connections,
        "rate": args.rate,
        "duration_seconds": args.duration,
        "warm_up_seconds": args.warm_up,
        "lines": args.lines,
        "products": args.products,
        "hot_product_percent": args.hot_product,
        "processes": args.processes,
        "split": args.split,
        "prefill": args.prefill,
        "runs": args.runs,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "echo_per_second": find(all, Variant::Echo).map(Figures::rate),
        "ratio": ratios.echo,
        "ledger_per_second": ratios.ledger.and(find(all, Variant::Postgres).map(Figures::rate)),
        "ledger_ratio": ratios.ledger,
        "memory_per_second": find(all, Variant::Memory).map(Figures::rate),
        "memory_ratio": ratios.memory,
        "all_runs": runs,
    });
    if let (Some(fields), Ok(serde_json::Value::Object(own))) =
        (summary.as_object_mut(), serde_json::to_value(all.first()))
    {
        fields.extend(own);
    }
    summary
}

/// Several imports of the same file, the first kind first.
pub(super) struct Imports<'a> {
    /// Of each kind the one in the middle, by its time.
    medians: Vec<&'a Imported>,
    all: &'a [Imported],
}

impl<'a> Imports<'a> {
    /// Of these, none of which is to be missing.
    pub(super) fn of(all: &'a [Imported], variants: &[Variant]) -> Self {
        let median = |variant: &Variant| {
            let mut runs: Vec<&Imported> = all.iter().filter(|import| import.variant == *variant).collect();
            runs.sort_by(|a, b| a.fulfilled_seconds.total_cmp(&b.fulfilled_seconds));
            runs.get(runs.len().saturating_sub(1) / 2).copied()
        };
        Self { medians: variants.iter().filter_map(median).collect(), all }
    }

    /// How fast the first kind is beside that without Kafka.
    fn ledger_ratio(&self) -> Option<f64> {
        let own = self.medians.first().filter(|own| own.variant != Variant::Postgres)?;
        let other = self.medians.iter().find(|import| import.variant == Variant::Postgres)?;
        Some(own.fulfilled_per_second / other.fulfilled_per_second.max(f64::MIN_POSITIVE))
    }

    /// The table, the ratio, and what the shop had come to; for people.
    pub(super) fn print(&self) -> std::io::Result<()> {
        print::imported(&self.medians)?;
        if let Some(ratio) = self.ledger_ratio() {
            output::line(format_args!("{:.1} % of the same ledger without Kafka", ratio * 100.0))?;
        }
        let Some(first) = self.medians.first() else { return Ok(()) };
        first.totals.lines().iter().try_for_each(output::line)?;
        if self.all.iter().any(|import| import.totals != first.totals) {
            output::line("Not every run came to the same: --json shows each.")?;
        }
        Ok(())
    }

    /// The same for programs.
    pub(super) fn summary(&self, args: &Args) -> serde_json::Value {
        let first = self.medians.first();
        json!({
            "ledger": first.map(|import| import.variant),
            "processes": args.processes,
            "split": args.split,
            "import": first,
            "compared": self.medians.get(1..),
            "ledger_ratio": self.ledger_ratio(),
            "all_runs": self.all,
        })
    }
}
