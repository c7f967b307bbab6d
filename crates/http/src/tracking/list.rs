//! `GET /v1/tracking`: parcels by where they are.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use ordermill_core::parcel::ParcelStatus;
use ordermill_ports::Position;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cursor::Cursor;
use crate::openapi::ParcelListProblems;
use crate::problem::Problem;
use crate::query::Params;
use crate::representation::json;
use crate::state::Shared;
use crate::tracking::parcel::{self, ParcelView};
use crate::tracking::reader::Reader;

/// A page of parcels; those first reported last stand first.
#[derive(Serialize, ToSchema)]
pub(crate) struct ParcelPage<'a> {
    /// The parcels.
    parcels: Vec<ParcelView<'a>>,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

/// Where a page of parcels begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstReport(Position);

impl Cursor for FirstReport {
    const KIND: u8 = b't';

    fn pack(&self) -> Vec<u8> {
        self.0.pack()
    }

    fn unpack(bytes: &[u8]) -> Option<Self> {
        Position::unpack(bytes).map(Self)
    }
}

/// List parcels, those first reported last first.
#[utoipa::path(
    get, path = "/v1/tracking", tag = "tracking", operation_id = "list_parcels",
    params(
        ("status" = Option<String>, Query, description = "In one of these states; repeated, or separated by commas."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Parcels in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of parcels.", body = ParcelPage<'_>), ParcelListProblems)
)]
pub(crate) async fn list(
    State(state): State<Shared>,
    _reader: Reader,
    mut params: Params,
) -> Result<Response, Problem> {
    let statuses = statuses(&mut params);
    let before = params.cursor::<FirstReport>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_parcels(&statuses, before.map(|first| first.0), limit).await?;
    let mut parcels = Vec::with_capacity(page.entries.len());
    for parcel in &page.entries {
        parcels.push(ParcelView::new(parcel, parcel::order_of(&state, &parcel.id).await?));
    }
    let next = page.next.map(|position| FirstReport(position).encode());
    Ok(json(StatusCode::OK, &ParcelPage { parcels, next }))
}

fn statuses(params: &mut Params) -> Vec<ParcelStatus> {
    let mut statuses = Vec::new();
    for name in params.take_all("status").iter().flat_map(|value| value.split(',')).filter(|name| !name.is_empty()) {
        match ParcelStatus::from_name(name.trim()) {
            Some(status) if !statuses.contains(&status) => statuses.push(status),
            Some(_) => {}
            None => {
                let known = ParcelStatus::ALL.map(ParcelStatus::as_str).join(", ");
                params.report("status", &format!("must be among {known}"));
            }
        }
    }
    statuses
}
