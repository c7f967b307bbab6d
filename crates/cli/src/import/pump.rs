//! Runs an import: sends, counts answers, and takes it up again after a break.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use ordermill_client::{Answer, Answers, Client, Error, Problem};
use tokio::time::Instant;

use super::feed::{Feed, Left, Sendable};
use super::source::{Input, Source};
use super::tally::{Tally, has_order_ref, local_problem};
use crate::progress::Progress;

/// How long an import goes on without any answer before it gives up. A server that is started again is back long before.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Pauses between two tries: doubled each time, from the first to the longest.
pub(super) const PAUSE_FIRST: Duration = Duration::from_millis(100);
pub(super) const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// Codes with which a server ends a bulk request early. They are about the request; the line they name was not read.
const ENDING_CODES: [&str; 3] = ["closing", "request_timeout", "body_unreadable"];

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Orders; safe to be sent again where they have an `order_ref`.
    Orders,
    /// Products; always safe to be sent again.
    Products,
}

/// A finished import.
pub struct Imported {
    /// What became of the lines.
    pub tally: Tally,
    /// Why the input was not read to its end, if it was not.
    pub failure: Option<std::io::Error>,
    /// Orders without an `order_ref`: importing the same file again would place them twice.
    pub unnamed: u64,
    /// How long it took.
    pub elapsed: Duration,
}

struct Pump {
    client: Client,
    kind: Kind,
    feed: Arc<Feed>,
    tally: Tally,
    progress: Progress,
    unnamed: u64,
    /// Since when the server has done nothing with what it was sent.
    silent_since: Option<Instant>,
    pause: Duration,
}

/// Imports an input. Shows progress unless `quiet`; gathers the ids of the orders if `wants_ids`.
///
/// # Errors
/// The input cannot be opened, no server answers, or the server stays away for too long.
pub async fn import(
    client: &Client,
    kind: Kind,
    input: &Input,
    refused_path: PathBuf,
    wants_ids: bool,
    quiet: bool,
) -> Result<Imported> {
    let source = Source::open(input).map_err(|error| match input {
        Input::File(path) => anyhow::anyhow!("{} cannot be read: {error}", path.display()),
        Input::Stdin | Input::Embedded(_) => anyhow::anyhow!("the input cannot be read: {error}"),
    })?;
    let what = if kind == Kind::Orders { "orders" } else { "products" };
    let mut pump = Pump {
        client: client.clone(),
        kind,
        feed: Feed::new(source),
        tally: Tally::new(refused_path, wants_ids),
        progress: Progress::new(what, quiet),
        unnamed: 0,
        silent_since: None,
        pause: PAUSE_FIRST,
    };
    // A server that is not there from the beginning is a wrong address more often than one that is about to come.
    client.ready().await.or_else(|error| if error.is_connection() { Err(error) } else { Ok(()) })?;
    pump.run().await?;
    pump.tally.finish()?;
    let failure = pump.feed.take_failure();
    Ok(Imported { tally: pump.tally, failure, unnamed: pump.unnamed, elapsed: pump.progress.finish() })
}

impl Pump {
    async fn run(&mut self) -> Result<()> {
        while self.feed.has_work().await {
            self.refuse_too_long()?;
            match self.request().await {
                Ok(()) => {}
                Err(Broken::ForGood(error)) => return Err(error),
                Err(Broken::Connection(error)) => self.recover(error).await?,
            }
        }
        self.refuse_too_long()
    }

    /// One request, to the end of the input or to a break.
    async fn request(&mut self) -> Result<(), Broken> {
        let lines = self.feed.stream();
        let mut answers = match self.kind {
            Kind::Orders => self.client.place_many(lines).await,
            Kind::Products => self.client.put_products(lines).await,
        }
        .map_err(Broken::of)?;
        let ending = self.count_answers(&mut answers).await?;
        // What was sent behind the last answer was not read when the server says so; otherwise nobody knows.
        let left = self.feed.rewind(|line| ending.is_some() || self.is_safe(line));
        let is_complete = left.again == 0 && left.lost.is_empty();
        self.lose(&left).map_err(Broken::ForGood)?;
        match ending {
            Some(problem) => Err(Broken::Connection(Error::Refused(Box::new(problem)))),
            None if is_complete => Ok(()),
            None => Err(Broken::Connection(self.lost("the server ended its answer early"))),
        }
    }

    /// Counts answers until the last; gives the problem with which the server ended early, if it did.
    async fn count_answers(&mut self, answers: &mut Answers) -> Result<Option<Problem>, Broken> {
        let mut expected = 0;
        while let Some(answer) = answers.next().await.map_err(Broken::of)? {
            expected += 1;
            if let Some(problem) = &answer.problem
                && ENDING_CODES.contains(&problem.code())
            {
                return Ok(Some(problem.clone()));
            }
            if answer.line != expected {
                return Err(Broken::ForGood(anyhow::anyhow!(
                    "the server answered line {}, not {expected}",
                    answer.line
                )));
            }
            let Some(line) = self.feed.answered() else {
                return Err(Broken::ForGood(anyhow::anyhow!("the server answered a line that was not sent")));
            };
            self.count(line, answer).map_err(Broken::ForGood)?;
            self.refuse_too_long().map_err(Broken::ForGood)?;
            self.progress.update(self.tally.answered, self.feed.share(self.tally.answered));
        }
        Ok(None)
    }

    fn count(&mut self, line: Sendable, answer: Answer) -> Result<()> {
        if answer.problem.as_ref().is_none_or(|problem| problem.status < 500) {
            self.silent_since = None;
            self.pause = PAUSE_FIRST;
        }
        let is_patient = |since: &mut Option<Instant>| since.get_or_insert_with(Instant::now).elapsed() <= PATIENCE;
        match answer.problem {
            None => {
                if self.kind == Kind::Orders && !has_order_ref(&line.text) {
                    self.unnamed += 1;
                }
                self.tally.take(answer);
            }
            Some(problem) if problem.is_transient() => {
                if !is_patient(&mut self.silent_since) {
                    bail!("the server takes nothing at present: {problem}");
                }
                let pause = self.next_pause();
                self.feed.send_again(line, pause);
            }
            Some(problem) if problem.status >= 500 && self.is_safe(&line) && is_patient(&mut self.silent_since) => {
                let pause = self.next_pause();
                self.feed.send_again(line, pause);
            }
            Some(problem) if problem.status >= 500 => self.tally.lose(&line, &problem)?,
            Some(problem) => self.tally.refuse(line.number, Some(&line.text), &problem)?,
        }
        Ok(())
    }

    /// After a break: what was not answered is sent again, unless the server stays away.
    async fn recover(&mut self, error: Error) -> Result<()> {
        let left = self.feed.rewind(|line| self.is_safe(line));
        self.lose(&left)?;
        if self.silent_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return Err(error.into());
        }
        let pause = self.next_pause();
        if pause > PAUSE_FIRST {
            self.progress.note(&format!("{error}; trying again"));
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_LONGEST);
        pause
    }

    fn is_safe(&self, line: &Sendable) -> bool {
        self.kind == Kind::Products || has_order_ref(&line.text)
    }

    fn lose(&mut self, left: &Left) -> Result<()> {
        let problem = local_problem(
            "outcome_unknown",
            "the connection broke before the answer, and an order without order_ref is not safe to be sent again",
        );
        left.lost.iter().try_for_each(|line| self.tally.lose(line, &problem))
    }

    fn lost(&self, cause: &str) -> Error {
        Error::Lost { url: self.client.base().to_owned(), cause: cause.to_owned() }
    }

    /// Refuses lines that the server would refuse unseen.
    fn refuse_too_long(&mut self) -> Result<()> {
        for number in self.feed.take_too_long() {
            self.tally.refuse(
                number,
                None,
                &local_problem("body_too_large", "the line is longer than any line may be"),
            )?;
        }
        Ok(())
    }
}

/// How a request ended before its time.
enum Broken {
    /// The connection, or the server for now: worth another try.
    Connection(Error),
    /// Not worth one.
    ForGood(anyhow::Error),
}

impl Broken {
    fn of(error: Error) -> Self {
        if is_passing(&error) { Self::Connection(error) } else { Self::ForGood(error.into()) }
    }
}

/// Whether the same request may do better later: the server went away, or says that it cannot at present.
pub(super) fn is_passing(error: &Error) -> bool {
    error.is_connection()
        // An answer that breaks off in the middle of a line.
        || matches!(error, Error::Unreadable { status: 200, .. })
        || error.problem().is_some_and(|problem| problem.status == 503)
}

#[cfg(test)]
#[path = "pump_tests.rs"]
mod tests;
