//! `ordermill dlq redrive`

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, Result};
use ordermill_client::{Client, DeadLetter, DeadLetterListing, Error, Redriven};
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{each, list, so_many};
use crate::command::Global;
use crate::exit::Exit;
use crate::output::{self, count};
use crate::progress::Progress;

/// Requests a second when a rate is given, unless it is lower: often enough for an even flow.
const REQUESTS_A_SECOND: u32 = 10;

/// Arguments of `dlq redrive`.
#[derive(clap::Args)]
#[command(after_help = "\
What is delivered again and given up again is a dead letter with a new number.

Examples:
  ordermill dlq redrive 7 12                          these two
  ordermill dlq redrive --all --role archive          what that role gave up
  ordermill dlq redrive --all --rate 50 --dry-run     what that would be; nothing is done

Exit code 3: some of the numbers given are of no dead letter; the others are delivered again.")]
pub struct Args {
    /// Their numbers, as `ordermill dlq list` shows them
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<u64>,
    /// All there are now
    #[arg(long)]
    all: bool,
    /// With --all: only what this role gave up
    #[arg(long, conflicts_with = "ids")]
    role: Option<String>,
    /// With --all: only those with this text in their reason
    #[arg(long, value_name = "TEXT", conflicts_with = "ids")]
    reason: Option<String>,
    /// At most this many a second
    #[arg(long, value_name = "N")]
    rate: Option<NonZeroU32>,
    /// Only show which ones would be delivered again
    #[arg(long)]
    dry_run: bool,
}

/// Redrives.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let listing = DeadLetterListing { role: args.role, reason: args.reason };
    // Each once, however often it is given.
    let mut ids: BTreeSet<u64> = args.ids.into_iter().collect();
    if args.dry_run {
        let (mut letters, mut not_found) = (Vec::new(), Vec::new());
        if args.all {
            each(client, &listing, |letter| letters.push(letter)).await?;
        } else {
            (letters, not_found) = look_up(client, ids).await?;
        }
        return told(&letters, &not_found, global);
    }
    if args.all {
        // All at the beginning: what dies again while this runs has a new number, and is left alone.
        each(client, &listing, |letter| _ = ids.insert(letter.id)).await?;
    }
    let ids: Vec<u64> = ids.into_iter().collect();
    let done = redrive(client, &ids, args.rate, global).await?;
    if global.json {
        output::json(&done)?;
    } else {
        let redriven = usize::try_from(done.redriven).unwrap_or(usize::MAX);
        output::line(format_args!("{} delivered again", so_many(redriven)))?;
        name_missing(&done.not_found)?;
    }
    // Whoever names none has asked for nothing that is not there.
    Ok(if done.not_found.is_empty() || args.all { Exit::Ok } else { Exit::Refused })
}

/// Those of these numbers that are there, and the numbers of the others.
async fn look_up(client: &Client, ids: BTreeSet<u64>) -> Result<(Vec<DeadLetter>, Vec<u64>)> {
    let (mut letters, mut not_found) = (Vec::new(), Vec::new());
    for id in ids {
        match client.dead_letter(id).await {
            Ok(letter) => letters.push(letter),
            Err(Error::Refused(problem)) if problem.code() == "dead_letter_not_found" => not_found.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((letters, not_found))
}

/// Tells what would be done.
fn told(letters: &[DeadLetter], not_found: &[u64], global: &Global) -> Result<Exit> {
    if global.json {
        let ids: Vec<u64> = letters.iter().map(|letter| letter.id).collect();
        output::json(&json!({ "would_redrive": ids, "not_found": not_found }))?;
    } else {
        list::print(letters)?;
        output::line(format_args!("{} to be delivered again; nothing was done", so_many(letters.len())))?;
        name_missing(not_found)?;
    }
    Ok(if not_found.is_empty() { Exit::Ok } else { Exit::Refused })
}

fn name_missing(not_found: &[u64]) -> Result<()> {
    if !not_found.is_empty() {
        let ids: Vec<String> = not_found.iter().map(u64::to_string).collect();
        output::line(format_args!("no dead letter, or not any more: {}", ids.join(", ")))?;
    }
    Ok(())
}

/// Delivers them again, part by part.
async fn redrive(client: &Client, ids: &[u64], rate: Option<NonZeroU32>, global: &Global) -> Result<Redriven> {
    let (at_once, pause) = pace(rate);
    let mut progress = Progress::new("dead letters", global.json);
    let mut done = Redriven::default();
    let mut next = Instant::now();
    for (index, part) in ids.chunks(at_once).enumerate() {
        sleep_until(next).await;
        next = Instant::now() + pause;
        let Redriven { redriven, not_found } = match client.redrive(part).await {
            Ok(answer) => answer,
            Err(error) => {
                // The bar would stand in the way of the error.
                progress.finish();
                let (redriven, all) = (count(done.redriven), count(ids.len() as u64));
                let how_far = format!("{redriven} of {all} dead letters are delivered again, and the next ones may be");
                return Err(error).context(how_far);
            }
        };
        done.redriven += redriven;
        done.not_found.extend(not_found);
        let passed = (index * at_once + part.len()) as u64;
        progress.update(passed, Some(passed as f64 / ids.len() as f64));
    }
    progress.finish();
    Ok(done)
}

/// How many go into one request, and how long it is until the next.
fn pace(rate: Option<NonZeroU32>) -> (usize, Duration) {
    let Some(rate) = rate.map(NonZeroU32::get) else { return (PAGE_ENTRIES_MAX, Duration::ZERO) };
    let at_once = usize::try_from(rate / REQUESTS_A_SECOND).unwrap_or(usize::MAX).clamp(1, PAGE_ENTRIES_MAX);
    (at_once, Duration::from_secs_f64(at_once as f64 / f64::from(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_requests_are_bounded() {
        let paced = |rate| pace(NonZeroU32::new(rate));
        assert_eq!(paced(0), (PAGE_ENTRIES_MAX, Duration::ZERO));
        assert_eq!(paced(1), (1, Duration::from_secs(1)));
        assert_eq!(paced(50), (5, Duration::from_millis(100)));
        assert_eq!(paced(10_000), (PAGE_ENTRIES_MAX, Duration::from_millis(50)));
    }
}
