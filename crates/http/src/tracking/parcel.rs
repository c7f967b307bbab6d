//! `GET /v1/tracking/{id}`: where a parcel is.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use ordermill_core::Timestamp;
use ordermill_core::id::{OrderId, OrderRef, ParcelId};
use ordermill_core::order::Order;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::error_code::PARCEL_NOT_FOUND;
use crate::etag;
use crate::openapi::ParcelProblems;
use crate::problem::Problem;
use crate::query::ParcelPath;
use crate::representation::OrderLink;
use crate::state::{Shared, State as Inner};
use crate::tracking::reader::Reader;

/// A parcel.
#[derive(Serialize, ToSchema)]
#[schema(as = Parcel)]
pub(crate) struct ParcelView<'a> {
    /// What the carrier calls it.
    #[schema(value_type = String, example = "shop-2026-000123")]
    parcel_id: &'a str,
    /// The order it belongs to, when it is one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "ord_0198f3c2a1b47c3e9d5f6a7b8c9d0e1f")]
    order_id: Option<OrderId>,
    /// Where it is.
    #[schema(value_type = ParcelState)]
    status: ParcelStatus,
    /// When it was seen there.
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
    /// When it was handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    /// How many reports there are of it. Duplicates are not kept, so they are not counted.
    reports: ReportCounts,
    /// Counts its events; the `ETag`.
    version: u32,
    /// When the first report of it came in.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When the newest report that was kept came in.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Where to go from here.
    links: ParcelLinks<'a>,
}

/// Reports by what came of them.
#[derive(Serialize, ToSchema)]
struct ReportCounts {
    /// Moved the parcel.
    moved: usize,
    /// Came too late to move it.
    late: usize,
    /// Could not be.
    refused: u32,
}

/// Where to go from a parcel.
#[derive(Serialize, ToSchema)]
struct ParcelLinks<'a> {
    /// The parcel.
    #[serde(rename = "self")]
    #[schema(value_type = String)]
    parcel: ParcelLink<'a>,
    /// Every report of it.
    #[schema(value_type = String)]
    events: ParcelLink<'a>,
    /// Its reports as they come in.
    #[schema(value_type = String)]
    stream: ParcelLink<'a>,
    /// Its order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order: Option<OrderLink>,
}

impl<'a> ParcelView<'a> {
    /// Shows a parcel as it is, with the order it belongs to.
    pub fn new(parcel: &'a Parcel, order_id: Option<OrderId>) -> Self {
        let late = parcel.sightings.iter().filter(|sighting| sighting.is_late).count();
        let link = |rest| ParcelLink { id: parcel.id.as_str(), rest };
        Self {
            parcel_id: parcel.id.as_str(),
            order_id,
            status: parcel.status,
            seen_at: parcel.seen_at,
            delivered_at: parcel.delivered_at,
            reports: ReportCounts { moved: parcel.sightings.len() - late, late, refused: parcel.refused },
            version: parcel.version,
            created_at: parcel.created_at,
            updated_at: parcel.updated_at,
            links: ParcelLinks {
                parcel: link(""),
                events: link("/events"),
                stream: link("/stream"),
                order: order_id.map(|order_id| OrderLink { order_id, rest: "" }),
            },
        }
    }
}

/// The address of a parcel, or of something below it. Carriers name parcels as they like, so the name is escaped.
struct ParcelLink<'a> {
    id: &'a str,
    rest: &'static str,
}

impl fmt::Display for ParcelLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/v1/tracking/")?;
        for byte in self.id.bytes() {
            // The unreserved characters of RFC 3986, 2.3.
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        f.write_str(self.rest)
    }
}

impl Serialize for ParcelLink<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The states of a parcel.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the schema of core's status, which does not know this interface; a test holds them equal"
    )
)]
#[schema(as = ParcelStatus)]
pub(crate) enum ParcelState {
    /// The carrier has it.
    PickedUp,
    /// On the last mile.
    OutForDelivery,
    /// Something is wrong.
    DeliveryIssue,
    /// Handed over; final.
    Delivered,
}

/// Get a parcel.
#[utoipa::path(
    get, path = "/v1/tracking/{id}", tag = "tracking", operation_id = "get_parcel",
    params(
        ("id" = String, Path, description = "What the carrier calls the parcel. A parcel of an order of ours is found by the order's id and by its `order_ref`, whichever of the two the carrier uses."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the parcel is still that one."),
    ),
    responses(
        (status = 200, description = "The parcel.", body = ParcelView<'_>, headers(("ETag" = String, description = "The parcel's version."))),
        (status = 304, description = "Unchanged."),
        ParcelProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    _reader: Reader,
    ParcelPath(id): ParcelPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Found { parcel, order_id } = find(&state, &id).await?;
    Ok(etag::answer_read(&headers, parcel.version.into(), &ParcelView::new(&parcel, order_id)))
}

/// A parcel with the order it belongs to.
pub(super) struct Found {
    /// The parcel.
    pub parcel: Arc<Parcel>,
    /// The order, when it is one of ours.
    pub order_id: Option<OrderId>,
}

/// The parcel of this name; where there is none, that of the order the name stands for, under the order's other name.
///
/// # Errors
/// `parcel_not_found`, or the ledger cannot be read.
pub(super) async fn find(state: &Inner, id: &ParcelId) -> Result<Found, Problem> {
    let queries = &state.app.queries;
    let order = find_order(state, id).await?;
    let order_id = order.as_ref().map(|order| order.id);
    if let Some(parcel) = queries.parcel(id).await? {
        return Ok(Found { parcel, order_id });
    }
    for name in order.iter().flat_map(|order| names(order)).filter(|name| name != id) {
        if let Some(parcel) = queries.parcel(&name).await? {
            return Ok(Found { parcel, order_id });
        }
    }
    Err(Problem::new(&PARCEL_NOT_FOUND, "nothing was reported of a parcel of this name"))
}

/// What a carrier may call the parcel of an order.
fn names(order: &Order) -> impl Iterator<Item = ParcelId> {
    let by_ref = order.placement.order_ref.as_ref().map(|order_ref| order_ref.as_str().to_owned());
    let names = [Some(order.id.to_string()), by_ref].into_iter().flatten();
    names.filter_map(|name| ParcelId::new(&name).ok())
}

/// The order a parcel belongs to: that of this id, or else of this reference.
async fn find_order(state: &Inner, id: &ParcelId) -> Result<Option<Arc<Order>>, Problem> {
    let queries = &state.app.queries;
    if let Ok(order_id) = id.as_str().parse()
        && let Some(order) = queries.order(order_id).await?
    {
        return Ok(Some(order));
    }
    let Ok(order_ref) = OrderRef::new(id.as_str()) else { return Ok(None) };
    match queries.order_by_ref(&order_ref).await? {
        Some(order_id) => Ok(queries.order(order_id).await?),
        None => Ok(None),
    }
}

/// The id of the order a parcel belongs to.
///
/// # Errors
/// The ledger cannot be read.
pub(super) async fn order_of(state: &Inner, id: &ParcelId) -> Result<Option<OrderId>, Problem> {
    Ok(find_order(state, id).await?.map(|order| order.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_states_are_cores() {
        let documented =
            [ParcelState::PickedUp, ParcelState::OutForDelivery, ParcelState::DeliveryIssue, ParcelState::Delivered];
        let documented = serde_json::to_value(documented).expect("it serializes");
        assert_eq!(documented, serde_json::to_value(ParcelStatus::ALL).expect("it serializes"));
    }

    #[test]
    fn links_hold_any_name() {
        let link = |id| ParcelLink { id, rest: "/events" }.to_string();
        assert_eq!(link("A-1_b.c~d"), "/v1/tracking/A-1_b.c~d/events");
        assert_eq!(link("a/b ?ü%"), "/v1/tracking/a%2Fb%20%3F%C3%BC%25/events");
    }
}
