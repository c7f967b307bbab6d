//! Hands reports to the ledger.

use std::collections::BTreeMap;

use axum::body::Body as HttpBody;
use http::HeaderMap;
use ordermill_core::id::{OrderId, ParcelId};
use ordermill_core::input::{Body, Input, ParcelReport};
use ordermill_core::limits::{SUBMIT_INPUTS_MAX, TRACKING_BODY_BYTES_MAX};
use ordermill_core::parcel::Verdict;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::{Source, Submission, SubmitError};

use crate::body;
use crate::problem::Problem;
use crate::state::State;
use crate::tracking::metrics;

/// A report that was dealt with, and is durable.
#[derive(Debug)]
pub(crate) struct Taken {
    /// What the sender calls the order.
    pub name: ParcelId,
    /// What came of the report.
    pub verdict: Verdict,
}

impl Taken {
    /// Whether the report was taken, now or before.
    pub fn is_accepted(&self) -> bool {
        !matches!(self.verdict, Verdict::Refused(_))
    }

    /// Whether an event of it is durably queued for whoever follows the parcel.
    pub fn is_published(&self) -> bool {
        matches!(self.verdict, Verdict::Moved | Verdict::Late)
    }

    /// A stable word for why it did not move the parcel.
    pub fn reason(&self) -> Option<&'static str> {
        match self.verdict {
            Verdict::Moved => None,
            Verdict::Late => Some("late"),
            Verdict::Duplicate => Some("duplicate"),
            Verdict::Refused(reason) => Some(reason.as_str()),
        }
    }
}

/// Bodies up to this size are read where they come in; larger ones would keep other requests waiting.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Takes the batch of a request: `read` makes reports of its body, all of them or none.
///
/// # Errors
/// The problem to answer with.
pub(crate) async fn receive(
    state: &State,
    headers: &HeaderMap,
    body: HttpBody,
    read: impl FnOnce(&[u8]) -> Result<Vec<ParcelReport>, Problem> + Send + 'static,
) -> Result<Vec<Taken>, Problem> {
    let body = body::read(state, headers, body, TRACKING_BODY_BYTES_MAX).await?;
    // The reports take no less memory than the body, so they keep its room until they are dealt with.
    let (reports, _room) = if body.bytes.len() <= INLINE_BYTES_MAX {
        (read(&body.bytes), body.into_room())
    } else {
        let reading = tokio::task::spawn_blocking(move || (read(&body.bytes), body.into_room()));
        reading.await.map_err(|error| Problem::internal(&error))?
    };
    take(state, reports?).await
}

/// Submits reports in calls of [`SUBMIT_INPUTS_MAX`], one after the other, so that what is reported of one parcel keeps its order. One
/// report is live; more are a bulk, which has its share beside live orders and never starves them.
///
/// # Errors
/// The first call that fails ends it: 503, and what was taken before stays taken. The same batch again is safe: it is answered
/// `duplicate` for those.
async fn take(state: &State, mut reports: Vec<ParcelReport>) -> Result<Vec<Taken>, Problem> {
    let names: Vec<ParcelId> = reports.iter().map(|report| report.parcel_id.clone()).collect();
    unify_names(state, &mut reports).await?;
    let mut names = names.into_iter();
    let source = if reports.len() == 1 { Source::Live } else { Source::Import };
    let mut taken = Vec::with_capacity(reports.len());
    let mut reports = reports.into_iter();
    while reports.len() > 0 {
        let call = reports.by_ref().take(SUBMIT_INPUTS_MAX);
        let call: Vec<Submission> = call.map(|report| Submission::new(Input::new(Body::Track(report)))).collect();
        let begin = taken.len();
        let expected = begin + call.len();
        for result in state.app.ledger.submit(source, call).await {
            let outcome = result.map_err(failed)?;
            let OutcomeSubject::Parcel { parcel, verdict } = outcome.subject else {
                return Err(Problem::internal(&"the ledger gave no parcel for a report about one"));
            };
            let name = names.next().unwrap_or_else(|| parcel.id.clone());
            taken.push(Taken { name, verdict });
        }
        if taken.len() != expected {
            return Err(Problem::internal(&"the ledger did not answer every report"));
        }
        metrics::count(taken[begin..].iter().map(|taken| taken.verdict));
    }
    Ok(taken)
}

/// An order of ours has two names, its id and its reference, and is one parcel: what is reported under the id of an order that has a
/// reference is reported under that. So a sender that uses both is judged by one way through the states.
async fn unify_names(state: &State, reports: &mut [ParcelReport]) -> Result<(), Problem> {
    let order_id = |report: &ParcelReport| report.parcel_id.as_str().parse::<OrderId>().ok();
    let mut ids: Vec<OrderId> = reports.iter().filter_map(order_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut names = BTreeMap::new();
    for ids in ids.chunks(SUBMIT_INPUTS_MAX) {
        for order in state.app.queries.orders(ids).await?.into_iter().flatten() {
            if let Some(order_ref) = &order.placement.order_ref
                && let Ok(name) = ParcelId::new(order_ref.as_str())
            {
                names.insert(order.id, name);
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    for report in reports {
        if let Some(name) = order_id(report).and_then(|id| names.get(&id)) {
            report.parcel_id = name.clone();
        }
    }
    Ok(())
}

/// The problem of a call that failed, in words that hold for the batch: calls before it, and others of it, may be committed.
fn failed(error: SubmitError) -> Problem {
    let detail = "not all reports were taken, or it is not known; send the batch again: those that were are answered as duplicates";
    Problem { detail: detail.into(), ..Problem::from(error) }
}
