//! Stock: how many units can be promised, are promised, and are gone.

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::id::ProductId;
use ordermill_core::input::{Body as InputBody, Input};
use ordermill_core::limits::STOCK_UNITS_MAX;
use ordermill_core::stock::StockLevel;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::{Outcome, Source};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::read_json;
use crate::cursor::Cursor as _;
use crate::error_code::{INVALID_REQUEST, PRODUCT_NOT_FOUND};
use crate::etag::{self, Present};
use crate::idempotency;
use crate::openapi::{CatalogueProblems, ListProblems, StockProblems, StockSchema};
use crate::orders::actions::words;
use crate::problem::Problem;
use crate::query::{Params, ProductPath};
use crate::representation::json;
use crate::state::{Shared, State as Inner};

/// What is to be available.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetStockRequest {
    /// Units that can be ordered from now on. What is reserved or sold stays as it is.
    #[schema(minimum = 0, example = 10)]
    available: i64,
}

/// A change of what is available.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdjustStockRequest {
    /// The difference in units.
    #[schema(example = -3)]
    delta: i64,
    /// Why; at most 500 characters.
    #[schema(example = "broken in the warehouse")]
    reason: String,
}

/// A page of stock, by product id.
#[derive(Serialize, ToSchema)]
pub(crate) struct StockPage {
    /// The stock of each product.
    #[schema(value_type = Vec<StockSchema>)]
    stock: Vec<StockLevel>,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

/// List the stock of all products by product id.
#[utoipa::path(
    get, path = "/v1/stock", tag = "catalogue", operation_id = "list_stock",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Products in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of stock.", body = StockPage), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let after = params.cursor::<ProductId>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_stock(after.as_ref(), limit).await?;
    Ok(json(StatusCode::OK, &StockPage { stock: page.entries, next: page.next.map(|id| id.encode()) }))
}

/// Get the stock of one product. It is all zeros, with version 0, until it is set.
#[utoipa::path(
    get, path = "/v1/stock/{id}", tag = "catalogue", operation_id = "get_stock",
    params(
        ("id" = String, Path, description = "The product's id."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the stock is still that one."),
    ),
    responses(
        (status = 200, description = "The stock.", body = StockSchema, headers(("ETag" = String, description = "The version of the stock."))),
        (status = 304, description = "Unchanged."),
        CatalogueProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    ProductPath(id): ProductPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let level = find(&state, &id).await?;
    Ok(etag::answer_read(&headers, level.version, &level))
}

/// Set how many units of a product are available.
#[utoipa::path(
    put, path = "/v1/stock/{id}", tag = "catalogue", operation_id = "set_stock",
    request_body = SetStockRequest,
    params(
        ("id" = String, Path, description = "The product's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only where stock was never set."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again."),
    ),
    responses((status = 200, description = "The stock after the change.", body = StockSchema, headers(("ETag" = String))), StockProblems)
)]
pub(crate) async fn set(
    State(state): State<Shared>,
    ProductPath(product_id): ProductPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: SetStockRequest = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let available = asked.available;
    if !(0..=STOCK_UNITS_MAX).contains(&available) {
        return Err(Problem::field(&INVALID_REQUEST, "available", format!("must be from 0 to {STOCK_UNITS_MAX}")));
    }
    let expected_version = expected_version(&state, &product_id, &parts.headers).await?;
    let meaning = ("set_stock", product_id.clone(), available);
    let set = InputBody::SetStock { product_id, available, expected_version };
    answer(&state, idempotency::keyed(&parts.headers, set, &meaning)?).await
}

/// Change how many units of a product are available by a difference.
#[utoipa::path(
    post, path = "/v1/stock/{id}/adjust", tag = "catalogue", operation_id = "adjust_stock",
    request_body = AdjustStockRequest,
    params(
        ("id" = String, Path, description = "The product's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to send again: the first answer is repeated as it was."),
    ),
    responses((status = 200, description = "The stock after the change.", body = StockSchema, headers(("ETag" = String))), StockProblems)
)]
pub(crate) async fn adjust(
    State(state): State<Shared>,
    ProductPath(product_id): ProductPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let asked: AdjustStockRequest = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let reason = words("reason", Some(asked.reason))?.unwrap_or_default();
    let expected_version = expected_version(&state, &product_id, &parts.headers).await?;
    let meaning = ("adjust_stock", product_id.clone(), asked.delta, reason.clone());
    let adjust = InputBody::AdjustStock { product_id, delta: asked.delta, reason, expected_version };
    answer(&state, idempotency::keyed(&parts.headers, adjust, &meaning)?).await
}

async fn expected_version(state: &Inner, id: &ProductId, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let present = async {
        let version = state.app.queries.stock(id).await?.map_or(0, |level| level.version);
        Ok(Present { version, deleted: false })
    };
    etag::expected_version(headers, present).await
}

async fn find(state: &Inner, id: &ProductId) -> Result<StockLevel, Problem> {
    if let Some(level) = state.app.queries.stock(id).await? {
        return Ok(level);
    }
    match state.app.queries.product(id).await? {
        Some(_) => Ok(StockLevel::none(id.clone())),
        None => Err(Problem::new(&PRODUCT_NOT_FOUND, format!("there is no product {id:?}"))),
    }
}

async fn answer(state: &Inner, input: Input) -> Result<Response, Problem> {
    let outcome = state.app.ledger.submit_one(Source::Live, input).await?;
    let level = stock_of(&outcome)?;
    let mut response = json(StatusCode::OK, level);
    etag::set(&mut response, level.version);
    idempotency::mark_replayed(&mut response, outcome.replayed);
    Ok(response)
}

fn stock_of(outcome: &Outcome) -> Result<&StockLevel, Problem> {
    match &outcome.subject {
        OutcomeSubject::Stock(level) | OutcomeSubject::Product { stock: Some(level), .. } => Ok(level),
        _ => Err(Problem::internal(&"the ledger gave no stock for an input about it")),
    }
}
