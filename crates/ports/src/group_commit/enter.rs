//! The way of a call to a ledger's writer, and of its answers back.

use std::time::Duration;

use ordermill_core::input::Body;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::lanes::{Answer, Call};
use crate::ledger::{Source, Submission, SubmitError};

/// How long a request waits for room before it is refused.
pub const ROOM_WAIT: Duration = Duration::from_secs(1);

/// When it is worth trying again after a refusal for load.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where calls go in.
pub trait Entrance: Sync {
    /// Puts a call into its lane and wakes the writer.
    ///
    /// # Errors
    /// [`Declined`].
    fn push(&self, source: Source, call: Call) -> Result<(), Declined>;

    /// Told when a lane has room again.
    fn room(&self, source: Source) -> &Notify;
}

/// A call that could not be taken.
#[derive(Debug)]
pub enum Declined {
    /// The lane is full.
    Full(Call),
    /// Nothing more is taken.
    Closing,
}

/// The same answer to each of so many inputs.
#[must_use]
pub fn refuse(count: usize, error: &SubmitError) -> Vec<Answer> {
    (0..count).map(|_| Err(error.clone())).collect()
}

/// How many new orders are among these.
#[must_use]
pub fn orders(submissions: &[Submission]) -> usize {
    submissions.iter().filter(|submission| is_order(submission)).count()
}

const fn is_order(submission: &Submission) -> bool {
    matches!(submission.input.body, Body::Place(_))
}

const fn overloaded() -> SubmitError {
    SubmitError::Overloaded { retry_after: RETRY_AFTER }
}

/// Hands a call over, of whose new orders the first `admitted` were let in; the others are refused for load, and what is no order goes
/// on. `handed_over` is called once the writer has it.
pub async fn enter(
    entrance: &impl Entrance,
    source: Source,
    submissions: Vec<Submission>,
    admitted: usize,
    deadline: Instant,
    handed_over: impl FnOnce() + Send,
) -> Vec<Answer> {
    if orders(&submissions) <= admitted {
        return enqueue(entrance, source, submissions, Some(deadline), handed_over).await;
    }
    let mut seen = 0;
    let fits: Vec<bool> = submissions
        .iter()
        .map(|submission| {
            seen += usize::from(is_order(submission));
            !is_order(submission) || seen <= admitted
        })
        .collect();
    let rest: Vec<Submission> =
        submissions.into_iter().zip(&fits).filter_map(|(submission, fits)| fits.then_some(submission)).collect();
    let answers =
        if rest.is_empty() { Vec::new() } else { enqueue(entrance, source, rest, Some(deadline), handed_over).await };
    let mut answers = answers.into_iter();
    let answer = |fits: bool| if fits { answers.next() } else { None };
    fits.into_iter().map(answer).map(|answer| answer.unwrap_or_else(|| Err(overloaded()))).collect()
}

/// Hands a call to the writer and waits for its answers. With a deadline it is refused when its lane has no room until then.
pub async fn enqueue(
    entrance: &impl Entrance,
    source: Source,
    submissions: Vec<Submission>,
    deadline: Option<Instant>,
    handed_over: impl FnOnce() + Send,
) -> Vec<Answer> {
    let count = submissions.len();
    let (mut call, answers) = Call::new(submissions);
    loop {
        let mut room = std::pin::pin!(entrance.room(source).notified());
        // Enabled before the attempt, so that no room in between is missed.
        room.as_mut().enable();
        call = match entrance.push(source, call) {
            Ok(()) => break,
            Err(Declined::Closing) => return refuse(count, &SubmitError::Closing),
            Err(Declined::Full(call)) => call,
        };
        match deadline {
            None => room.await,
            Some(deadline) => {
                if timeout_at(deadline, room).await.is_err() {
                    return refuse(count, &overloaded());
                }
            }
        }
    }
    handed_over();
    answers.await.unwrap_or_else(|_| {
        let reason = "the ledger's writer has ended".to_owned();
        refuse(count, &SubmitError::Unknown { reason })
    })
}
