//! The table of all runs, and the ratio.

use std::fmt;

use serde::Serialize;

use crate::Engine;
use crate::load::Run;

/// Every run so far.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    runs: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    #[serde(serialize_with = "engine_name")]
    engine: Engine,
    connections: usize,
    #[serde(flatten)]
    run: Run,
}

fn engine_name<S: serde::Serializer>(engine: &Engine, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(engine.name())
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Restate => "Restate",
            Self::Ordermill => "Ordermill",
            Self::Dbos => "DBOS",
            Self::OrdermillPostgres => "Ordermill on PostgreSQL",
        }
    }

    /// What it is held against.
    const fn base(self) -> Self {
        match self {
            Self::Restate | Self::Ordermill => Self::Restate,
            Self::Dbos | Self::OrdermillPostgres => Self::Dbos,
        }
    }

    const ALL: [Self; 4] = [Self::Restate, Self::Ordermill, Self::Dbos, Self::OrdermillPostgres];
}

/// The runs of one engine at one number of connections.
struct Cell {
    median: f64,
    least: f64,
    most: f64,
    answer_p50: Option<f64>,
    answer_p99: Option<f64>,
    mailed_p50: Option<f64>,
    mailed_p99: Option<f64>,
}

impl Report {
    /// Takes one more run.
    pub fn add(&mut self, engine: Engine, connections: usize, run: Run) {
        self.runs.push(Entry { engine, connections, run });
    }

    fn cell(&self, engine: Engine, connections: usize) -> Option<Cell> {
        let of_cell = |entry: &&Entry| entry.engine == engine && entry.connections == connections;
        let runs: Vec<Run> = self.runs.iter().filter(of_cell).map(|entry| entry.run).collect();
        let rates = sorted(runs.iter().map(|run| run.fulfilled_per_second));
        Some(Cell {
            median: median(&rates)?,
            least: *rates.first()?,
            most: *rates.last()?,
            answer_p50: median(&sorted(runs.iter().map(|run| run.answer_ms.p50))),
            answer_p99: median(&sorted(runs.iter().map(|run| run.answer_ms.p99))),
            mailed_p50: median(&sorted(runs.iter().filter_map(|run| run.mailed_ms).map(|times| times.p50))),
            mailed_p99: median(&sorted(runs.iter().filter_map(|run| run.mailed_ms).map(|times| times.p99))),
        })
    }

    fn connections(&self) -> Vec<usize> {
        let mut connections: Vec<usize> = self.runs.iter().map(|entry| entry.connections).collect();
        connections.sort_unstable();
        connections.dedup();
        connections
    }

    /// The best median over all numbers of connections.
    fn best(&self, engine: Engine) -> Option<f64> {
        self.connections()
            .into_iter()
            .filter_map(|connections| self.cell(engine, connections))
            .map(|cell| cell.median)
            .max_by(f64::total_cmp)
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The one in the middle, or the mean of the two there.
fn median(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// `p50 / p99`, or a dash.
fn pair(p50: Option<f64>, p99: Option<f64>) -> String {
    p50.zip(p99).map_or_else(|| "-".to_owned(), |(p50, p99)| format!("{p50:.1} / {p99:.1}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Orders fulfilled per second: the median of the runs, with the lowest and the highest.")?;
        writeln!(
            f,
            "Times in ms as p50 / p99. Restate and DBOS answer when the order is fulfilled, Ordermill when it is on disk.\n"
        )?;
        writeln!(f, "| connections | engine | orders/s | answer | from there to the mail | ratio |")?;
        writeln!(f, "|---:|---|---:|---:|---:|---:|")?;
        for connections in self.connections() {
            for engine in Engine::ALL {
                let Some(cell) = self.cell(engine, connections) else { continue };
                let base = self.cell(engine.base(), connections).map(|cell| cell.median);
                let ratio = base.map_or_else(|| "-".to_owned(), |base| format!("{:.1}", cell.median / base));
                let rates = format!("{:.0} [{:.0}-{:.0}]", cell.median, cell.least, cell.most);
                let answer = pair(cell.answer_p50, cell.answer_p99);
                let mailed = pair(cell.mailed_p50, cell.mailed_p99);
                writeln!(f, "| {connections} | {} | {rates} | {answer} | {mailed} | {ratio} |", engine.name())?;
            }
        }
        for engine in [Engine::Ordermill, Engine::OrdermillPostgres] {
            let base = engine.base();
            if let (Some(theirs), Some(ours)) = (self.best(base), self.best(engine)) {
                let ratio = ours / theirs;
                writeln!(
                    f,
                    "\nbest against best, {} by {}: {ours:.0} / {theirs:.0} = {ratio:.1}",
                    engine.name(),
                    base.name()
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Quantiles;

    #[test]
    fn medians_of_odd_and_even_numbers_of_runs() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[4.0]), Some(4.0));
        assert_eq!(median(&[1.0, 3.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }

    #[test]
    fn the_ratio_is_ours_by_theirs() {
        let mut report = Report::default();
        let answer_ms = Quantiles { p50: 1.0, p99: 2.5 };
        let run = |rate| Run { fulfilled_per_second: rate, answer_ms, mailed_ms: None };
        report.add(Engine::Restate, 16, run(100.0));
        report.add(Engine::Ordermill, 16, run(2_500.0));
        report.add(Engine::Restate, 64, run(200.0));
        let text = report.to_string();
        assert!(text.contains("| 16 | Ordermill | 2500 [2500-2500] | 1.0 / 2.5 | - | 25.0 |"), "{text}");
        assert!(text.contains("best against best, Ordermill by Restate: 2500 / 200 = 12.5"), "{text}");
        report.add(Engine::OrdermillPostgres, 64, run(3_000.0));
        assert!(report.to_string().contains("| 64 | Ordermill on PostgreSQL | 3000 [3000-3000] | 1.0 / 2.5 | - | - |"));
        report.add(Engine::Dbos, 64, run(150.0));
        let text = report.to_string();
        assert!(text.contains("best against best, Ordermill on PostgreSQL by DBOS: 3000 / 150 = 20.0"), "{text}");
    }
}
