//! `GET /v1/orders` and `GET /v1/orders/{id}`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::id::{CustomerId, OrderId};
use ordermill_core::order::{Order, Status};
use ordermill_ports::queries::OrderFilter;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::cursor::Cursor as _;
use crate::error_code::ORDER_NOT_FOUND;
use crate::etag;
use crate::openapi::{ListProblems, OrderProblems};
use crate::problem::Problem;
use crate::query::{OrderPath, Params};
use crate::representation::{OrderView, json};
use crate::state::{Shared, State as Inner};

/// A page of orders, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPage)]
pub(crate) struct OrderPage {
    /// The orders.
    #[schema(value_type = Vec<OrderView<'_>>)]
    orders: OrderViews,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

struct OrderViews(Vec<Arc<Order>>);

impl Serialize for OrderViews {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|order| OrderView::new(order)))
    }
}

/// List orders, newest first.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "list_orders",
    params(
        ("status" = Option<String>, Query, description = "In one of these states; repeated, or separated by commas."),
        ("attention" = Option<bool>, Query, description = "Waiting for a person, or not."),
        ("customer_id" = Option<String>, Query, description = "Of this customer."),
        ("from" = Option<String>, Query, description = "Taken at this instant or later."),
        ("to" = Option<String>, Query, description = "Taken before this instant."),
        ("q" = Option<String>, Query, description = "With exactly this order id, order reference or customer id."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Orders in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of orders.", body = OrderPage), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let filter = filter(&mut params);
    let before = params.cursor::<OrderId>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_orders(&filter, before, limit).await?;
    let next = page.next.map(|id| id.encode());
    Ok(json(StatusCode::OK, &OrderPage { orders: OrderViews(page.entries), next }))
}

fn filter(params: &mut Params) -> OrderFilter {
    let mut statuses = Vec::new();
    for name in params.take_all("status").iter().flat_map(|value| value.split(',')).filter(|name| !name.is_empty()) {
        match Status::from_name(name.trim()) {
            Some(status) if !statuses.contains(&status) => statuses.push(status),
            Some(_) => {}
            None => {
                let known = Status::ALL.map(Status::as_str).join(", ");
                params.report("status", &format!("must be among {known}"));
            }
        }
    }
    OrderFilter {
        statuses,
        attention: params.parse("attention", |text| text.parse().ok(), "must be true or false"),
        customer_id: params.parse("customer_id", |text| CustomerId::new(text).ok(), "must be a customer's id"),
        from: params.time("from"),
        to: params.time("to"),
        text: params.take("q").map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
    }
}

/// Get one order.
#[utoipa::path(
    get, path = "/v1/orders/{id}", tag = "orders", operation_id = "get_order",
    params(
        ("id" = String, Path, description = "The order's id, `ord_…`."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the order is still that one."),
    ),
    responses(
        (status = 200, description = "The order.", body = OrderView<'_>, headers(("ETag" = String, description = "The order's version."))),
        (status = 304, description = "Unchanged."),
        OrderProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    OrderPath(id): OrderPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let order = find(&state, id).await?;
    Ok(etag::answer_read(&headers, order.version.into(), &OrderView::new(&order)))
}

/// The order of this id.
///
/// # Errors
/// `order_not_found`, or the ledger cannot be read.
pub(crate) async fn find(state: &Inner, id: OrderId) -> Result<Arc<Order>, Problem> {
    let order = state.app.queries.order(id).await?;
    order.ok_or_else(|| Problem::new(&ORDER_NOT_FOUND, format!("there is no order {id}")))
}
