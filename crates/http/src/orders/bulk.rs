//! `POST /v1/orders` with one order a line.

use axum::body::Body;
use axum::response::Response;
use http::HeaderMap;
use ordermill_core::id::{CorrelationId, IdempotencyKey};
use ordermill_core::input::{Admission, Body as InputBody, Input, Key};
use ordermill_core::intake::OrderDraft;
use ordermill_ports::Outcome;
use serde::Serialize;

use crate::bulk::{self, Import};
use crate::correlation;
use crate::error_code::INVALID_ORDER;
use crate::idempotency;
use crate::json;
use crate::orders::place::order_of;
use crate::problem::Problem;
use crate::state::Shared;

struct Orders {
    state: Shared,
    key: Option<IdempotencyKey>,
    correlation_id: Option<CorrelationId>,
    traceparent: Option<Box<str>>,
}

/// A line of the answer for an order that was taken.
#[derive(Serialize)]
struct TakenLine<'a> {
    line: u64,
    order_id: ordermill_core::id::OrderId,
    status: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replayed: bool,
}

/// Takes many orders.
///
/// # Errors
/// When there is no room for another bulk request, or its key is no key.
pub(crate) fn place_many(state: &Shared, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let orders = Orders {
        state: Shared::clone(state),
        key: idempotency::key(headers)?,
        correlation_id: correlation::correlation_id(headers),
        traceparent: correlation::traceparent(headers),
    };
    let room = state.admission.bulk()?;
    Ok(bulk::respond(state, room, body, orders))
}

impl Import for Orders {
    fn input(&self, number: u64, line: &[u8]) -> Result<Input, Problem> {
        let draft: OrderDraft = json::parse(line, &INVALID_ORDER)?;
        let app = &self.state.app;
        let request = draft
            .check(app.random.order_id(app.clock.now()), Admission::Refuse)
            .map_err(|errors| Problem::violations(&INVALID_ORDER, errors))?
            .traced(self.correlation_id.clone(), self.traceparent.clone());
        let key = match &self.key {
            Some(key) => Some(Key { key: idempotency::line_key(key, number)?, fingerprint: request.fingerprint() }),
            None => None,
        };
        Ok(Input::new(InputBody::Place(Box::new(request))).with_key(key))
    }

    fn answer(&self, number: u64, outcome: &Outcome, out: &mut Vec<u8>) -> Result<(), Problem> {
        let order = order_of(outcome)?;
        let line =
            TakenLine { line: number, order_id: order.id, status: order.status.as_str(), replayed: outcome.replayed };
        serde_json::to_writer(out, &line).map_err(|error| Problem::internal(&error))
    }
}
