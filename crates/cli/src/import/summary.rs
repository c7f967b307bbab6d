//! What an import says at its end.

use anyhow::Result;
use serde_json::json;

use super::outcomes::Outcomes;
use super::pump::Imported;
use crate::command::Global;
use crate::exit::Exit;
use crate::output::{self, Align, count};

/// Prints what became of the lines, and gives the exit code.
///
/// # Errors
/// The output cannot be written, or the input was not read to its end.
pub fn summarize(imported: Imported, outcomes: Option<&Outcomes>, global: &Global) -> Result<Exit> {
    let Imported { mut tally, failure, unnamed, elapsed } = imported;
    let refused_file = tally.finish()?.map(|path| path.display().to_string());
    let seconds = elapsed.as_secs_f64();
    if global.json {
        let mut summary = json!({
            "lines": tally.answered,
            "new": tally.taken,
            "already_there": tally.already_there,
            "refused": tally.refused,
            "unknown": tally.unknown,
            "refused_file": refused_file,
            "seconds": seconds,
        });
        if let Some(outcomes) = outcomes {
            summary["outcomes"] = serde_json::to_value(outcomes)?;
        }
        output::json(&summary)?;
    } else {
        let mut rows = vec![row("new", tally.taken), row("already there", tally.already_there)];
        rows.extend(tally.refused.iter().map(|(code, lines)| row(&format!("refused: {code}"), *lines)));
        if tally.unknown > 0 {
            rows.push(row("not known", tally.unknown));
        }
        output::table(&[("lines", Align::Left), ("", Align::Right)], rows)?;
        let rate = tally.answered as f64 / seconds.max(0.001);
        output::line(format_args!("{} lines in {seconds:.1} s, {}/s", count(tally.answered), count(rate as u64)))?;
        if let Some(outcomes) = outcomes {
            print_outcomes(outcomes)?;
        }
        if let Some(path) = &refused_file {
            output::line(format_args!("The refused lines, each with its reason: {path}"))?;
        }
        if unnamed > 0 {
            output::line(format_args!(
                "Orders without order_ref: {}. Importing this file again would place them again.",
                count(unnamed)
            ))?;
        }
    }
    if let Some(error) = failure {
        return Err(
            anyhow::Error::new(error).context("the input could not be read to its end; what was read is imported")
        );
    }
    Ok(exit(tally.refused_count(), tally.unknown))
}

/// Prints orders by what became of them.
///
/// # Errors
/// The output cannot be written.
pub fn print_outcomes(outcomes: &Outcomes) -> std::io::Result<()> {
    let rows = outcomes.rows().into_iter().map(|(status, reason, orders)| vec![status, reason, count(orders)]);
    output::table(&[("outcome", Align::Left), ("reason", Align::Left), ("orders", Align::Right)], rows.collect())
}

fn row(what: &str, lines: u64) -> Vec<String> {
    vec![what.to_owned(), count(lines)]
}

const fn exit(refused: u64, unknown: u64) -> Exit {
    match (refused, unknown) {
        (0, 0) => Exit::Ok,
        // Of a line whose fate is not known there may be an order: that is no refusal.
        (_, 1..) => Exit::Failure,
        (_, 0) => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_became_of_the_lines() {
        assert_eq!(exit(0, 0), Exit::Ok);
        assert_eq!(exit(2, 0), Exit::Refused);
        assert_eq!(exit(0, 1), Exit::Failure);
        assert_eq!(exit(2, 1), Exit::Failure);
    }
}
