//! Bulk requests: NDJSON in, NDJSON out, of any length, with bounded memory.
//!
//! Lines are submitted in chunks as they arrive, several chunks at a time, and answered in the order of the lines. When the client
//! does not read its answers, nothing more is read from it; when the ledger has no room, its lines wait here and the client with
//! them. What was submitted goes on whether its answers are read or not: a client that stops reading must not keep the ledger
//! waiting for an answer half taken.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::future::ready;
use futures_util::stream::{self, FuturesOrdered};
use futures_util::{FutureExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use ordermill_core::input::Input;
use ordermill_ports::{Outcome, Source, Submission, SubmitError};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::admission::Room;
use crate::error_code::CLOSING;
use crate::lines::{Line, Lines};
use crate::problem::Problem;
use crate::state::{Shared, State};

/// Chunks that are submitted and not answered yet: the ledger is kept busy while the next lines are read.
const CHUNKS_IN_FLIGHT_MAX: usize = 4;

/// What the lines are.
pub(crate) trait Import: Send + Sync + 'static {
    /// Reads one line into an input.
    ///
    /// # Errors
    /// Why the line is refused.
    fn input(&self, number: u64, line: &[u8]) -> Result<Input, Problem>;

    /// Writes what came of a line as a JSON object.
    ///
    /// # Errors
    /// A defect of the ledger.
    fn answer(&self, number: u64, outcome: &Outcome, out: &mut Vec<u8>) -> Result<(), Problem>;
}

/// A line of the answer for a line that was refused.
#[derive(Serialize)]
struct RefusedLine<'a> {
    line: u64,
    problem: &'a Problem,
}

/// Answers a bulk request.
pub(crate) fn respond(state: &Shared, room: Room, body: Body, import: impl Import) -> Response {
    let run = Run {
        lines: Lines::new(body, &state.app.settings),
        state: Shared::clone(state),
        import: Arc::new(import),
        in_flight: FuturesOrdered::new(),
        phase: Phase::Reading,
        span: Span::current(),
        _room: room,
    };
    let answers = stream::unfold(run, |mut run| async move {
        let answer = run.next().await?;
        Some((Ok::<_, std::convert::Infallible>(answer), run))
    });
    let mut response = Response::new(Body::from_stream(answers));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

/// The answers of one chunk, when they are there.
type Answer = Pin<Box<dyn Future<Output = Bytes> + Send>>;

enum Phase {
    Reading,
    /// Nothing more is read; the problem ends the answer when what is in flight is answered.
    Ending(Option<Problem>),
}

struct Run<I> {
    lines: Lines,
    state: Shared,
    import: Arc<I>,
    in_flight: FuturesOrdered<Answer>,
    phase: Phase,
    /// Of the request: what is logged of its chunks stands under its correlation id.
    span: Span,
    _room: Room,
}

impl<I: Import> Run<I> {
    /// The next piece of the answer, `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if matches!(self.phase, Phase::Ending(_)) || self.in_flight.len() >= CHUNKS_IN_FLIGHT_MAX {
                if let Some(answer) = self.in_flight.next().await {
                    return Some(answer);
                }
                return self.last_word();
            }
            // Answers first: they free memory. Waiting for shutdown comes last, so that what has arrived is still taken in.
            tokio::select! {
                biased;
                Some(answer) = self.in_flight.next() => return Some(answer),
                chunk = self.lines.next_chunk() => self.take(chunk),
                () = self.state.closed() => {
                    let words = "the server is shutting down; lines from here on were not read";
                    self.phase = Phase::Ending(Some(Problem::new(&CLOSING, words)));
                }
            }
        }
    }

    fn take(&mut self, chunk: Result<Option<Vec<Line>>, Problem>) {
        match chunk {
            Ok(Some(lines)) => {
                let (state, import) = (Shared::clone(&self.state), Arc::clone(&self.import));
                self.in_flight.push_back(start(state, import, lines, self.span.clone()));
            }
            Ok(None) => self.phase = Phase::Ending(None),
            Err(problem) => self.phase = Phase::Ending(Some(problem)),
        }
    }

    /// Says at which line the answer ends too early, once.
    fn last_word(&mut self) -> Option<Bytes> {
        let Phase::Ending(Some(problem)) = std::mem::replace(&mut self.phase, Phase::Ending(None)) else {
            return None;
        };
        let mut out = Vec::new();
        write_problem(self.lines.next_number(), &problem, &mut out);
        Some(out.into())
    }
}

/// A task that ends when nobody waits for it any more.
struct AbortOnDrop(JoinHandle<Bytes>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Submits one chunk in a task of its own. Every line is answered, even when the work panics.
fn start<I: Import>(state: Shared, import: Arc<I>, lines: Vec<Line>, span: Span) -> Answer {
    let numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
    let work = AssertUnwindSafe(async move { submit(&state, &*import, lines).await }).catch_unwind();
    let work = work.map(move |answer| answer.unwrap_or_else(|panic| broken(&numbers, &Problem::panicked(&*panic))));
    let mut work = Box::pin(work.instrument(span));
    // The first step is taken here and not in the task: chunks reach the ledger in the order of their lines.
    if let Some(answer) = work.as_mut().now_or_never() {
        return Box::pin(ready(answer));
    }
    let mut task = AbortOnDrop(tokio::spawn(work));
    Box::pin(async move {
        // Panics are caught within, and only its own drop aborts it; when the runtime ends nobody reads this any more.
        (&mut task.0).await.unwrap_or_default()
    })
}

/// The answers of a chunk whose work panicked.
fn broken(numbers: &[u64], problem: &Problem) -> Bytes {
    let mut out = Vec::new();
    for number in numbers {
        write_problem(*number, problem, &mut out);
    }
    out.into()
}

/// Submits one chunk and writes its answers.
async fn submit<I: Import>(state: &State, import: &I, lines: Vec<Line>) -> Bytes {
    let mut inputs = Vec::with_capacity(lines.len());
    let mut answers = Vec::with_capacity(lines.len());
    for line in lines {
        match line.content.and_then(|content| import.input(line.number, &content)) {
            Ok(input) => {
                inputs.push(Submission::new(input));
                answers.push((line.number, None));
            }
            Err(problem) => answers.push((line.number, Some(problem))),
        }
    }
    let mut results = submit_patiently(state, inputs).await.into_iter();
    let mut out = Vec::with_capacity(answers.len() * 96);
    for (number, refused) in answers {
        let problem = match refused {
            Some(problem) => Some(problem),
            None => match results.next().unwrap_or(Err(SubmitError::Closing)) {
                Ok(outcome) => {
                    let begin = out.len();
                    let written = import.answer(number, &outcome, &mut out);
                    out.push(b'\n');
                    written.err().inspect(|_| out.truncate(begin))
                }
                Err(error) => Some(error.into()),
            },
        };
        if let Some(problem) = problem {
            write_problem(number, &problem, &mut out);
        }
    }
    out.into()
}

/// Submits, and submits again what found no room: an import is slowed down, not refused, unless its patience ends.
async fn submit_patiently(state: &State, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
    let deadline = Instant::now() + state.app.settings.bulk_patience;
    let mut waiting: Vec<(usize, Submission)> = submissions.into_iter().enumerate().collect();
    let mut results: Vec<Option<Result<Outcome, SubmitError>>> = Vec::new();
    results.resize_with(waiting.len(), || None);
    while !waiting.is_empty() {
        let batch = waiting.iter().map(|(_, submission)| submission.clone()).collect();
        let mut answered = state.app.ledger.submit(Source::Import, batch).await.into_iter();
        let mut pause = None::<Duration>;
        waiting.retain(|(index, _)| {
            let result = answered.next().unwrap_or(Err(SubmitError::Closing));
            let again = match &result {
                Err(SubmitError::Overloaded { retry_after }) => Some(*retry_after),
                _ => None,
            };
            pause = pause.max(again);
            results[*index] = Some(result);
            again.is_some()
        });
        let Some(pause) = pause else { break };
        // Room comes with every order that is decided, so it is worth looking more often than a caller from outside should.
        let pause = pause.clamp(Duration::from_millis(10), Duration::from_millis(200));
        if Instant::now() + pause > deadline || state.is_closing() {
            break;
        }
        tokio::time::sleep(pause).await;
    }
    results.into_iter().map(|result| result.unwrap_or(Err(SubmitError::Closing))).collect()
}

fn write_problem(line: u64, problem: &Problem, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, &RefusedLine { line, problem })
        .expect("a problem is plain data with text keys, which always serializes");
    out.push(b'\n');
}
