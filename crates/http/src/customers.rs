//! Customers, as the shop keeps them here. Orders name theirs by id and need no record of them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::customer::Customer;
use ordermill_core::id::CustomerId;
use ordermill_core::input::{Body as InputBody, Input};
use ordermill_core::intake::CustomerDraft;
use ordermill_ports::Source;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::queries::Deleted;
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::read_json;
use crate::cursor::Cursor as _;
use crate::error_code::{CUSTOMER_NOT_FOUND, INVALID_REQUEST};
use crate::etag::{self, Present};
use crate::openapi::{CustomerProblems, CustomerRequest, CustomerSchema, ListProblems, ReadCustomerProblems};
use crate::problem::Problem;
use crate::query::{CustomerPath, Params};
use crate::representation::json;
use crate::state::{Shared, State as Inner};

pub(crate) mod users;

/// A page of customers, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerPage {
    /// The customers.
    #[schema(value_type = Vec<CustomerSchema>)]
    customers: Vec<Arc<Customer>>,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

/// List customers by id.
#[utoipa::path(
    get, path = "/v1/customers", tag = "customers", operation_id = "list_customers",
    params(
        ("deleted" = Option<bool>, Query, description = "`true` shows who was deleted, too."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Customers in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of customers.", body = CustomerPage), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let deleted = params.deleted();
    let after = params.cursor::<CustomerId>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_customers(after.as_ref(), deleted, limit).await?;
    let next = page.next.map(|id| id.encode());
    Ok(json(StatusCode::OK, &CustomerPage { customers: page.entries, next }))
}

/// Get one customer.
#[utoipa::path(
    get, path = "/v1/customers/{id}", tag = "customers", operation_id = "get_customer",
    params(
        ("id" = String, Path, description = "The customer's id."),
        ("deleted" = Option<bool>, Query, description = "`true` shows them also when they were deleted."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the customer is still that one."),
    ),
    responses(
        (status = 200, description = "The customer.", body = CustomerSchema, headers(("ETag" = String, description = "The customer's version."))),
        (status = 304, description = "Unchanged."),
        ReadCustomerProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    CustomerPath(id): CustomerPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deleted = params.deleted();
    params.finish()?;
    let customer = state.app.queries.customer(&id).await?;
    let customer = customer.filter(|customer| !customer.deleted || deleted == Deleted::Shown);
    let customer = customer.ok_or_else(|| Problem::new(&CUSTOMER_NOT_FOUND, format!("there is no customer {id:?}")))?;
    Ok(etag::answer_read(&headers, customer.version.into(), &*customer))
}

/// Add or change a customer.
///
/// The same content again changes nothing. `If-Match` refuses a change to another version than the one that was read;
/// `If-None-Match: *` only adds. One who was deleted is there again. Orders keep the address they were taken with.
#[utoipa::path(
    put, path = "/v1/customers/{id}", tag = "customers", operation_id = "put_customer",
    request_body = CustomerRequest,
    params(
        ("id" = String, Path, description = "The customer's id: at most 128 characters of the shop's own."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such customer."),
    ),
    responses(
        (status = 200, description = "The customer, changed or as they were.", body = CustomerSchema, headers(("ETag" = String))),
        (status = 201, description = "The customer, added.", body = CustomerSchema, headers(("ETag" = String))),
        CustomerProblems,
    )
)]
pub(crate) async fn put(
    State(state): State<Shared>,
    CustomerPath(id): CustomerPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let draft: CustomerDraft = read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    let expected = expected_version(&state, &id, &parts.headers).await?;
    let put = draft.check(id.as_str(), expected).map_err(|errors| Problem::violations(&INVALID_REQUEST, errors))?;
    answer(&state, InputBody::PutCustomer(Box::new(put))).await
}

/// Delete a customer.
///
/// They are kept, as orders and events name them, and shown only to those who ask for it. Deleting them again changes nothing; putting
/// them again brings them back.
#[utoipa::path(
    delete, path = "/v1/customers/{id}", tag = "customers", operation_id = "delete_customer",
    params(
        ("id" = String, Path, description = "The customer's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
    ),
    responses((status = 200, description = "The customer, deleted.", body = CustomerSchema, headers(("ETag" = String))), CustomerProblems)
)]
pub(crate) async fn delete(
    State(state): State<Shared>,
    CustomerPath(customer_id): CustomerPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected_version = expected_version(&state, &customer_id, &headers).await?;
    answer(&state, InputBody::DeleteCustomer { customer_id, expected_version }).await
}

async fn expected_version(state: &Inner, id: &CustomerId, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let present = async {
        let customer = state.app.queries.customer(id).await?;
        Ok(customer.map_or_else(Present::default, |customer| Present {
            version: customer.version.into(),
            deleted: customer.deleted,
        }))
    };
    etag::expected_version(headers, present).await
}

/// Submits, and answers with the customer as they are now.
async fn answer(state: &Inner, body: InputBody) -> Result<Response, Problem> {
    let outcome = state.app.ledger.submit_one(Source::Live, Input::new(body)).await?;
    let OutcomeSubject::Customer(customer) = &outcome.subject else {
        return Err(Problem::internal(&"the ledger gave no customer for an input about one"));
    };
    let added = outcome.changed && customer.version == 1;
    let mut response = json(if added { StatusCode::CREATED } else { StatusCode::OK }, customer);
    etag::set(&mut response, customer.version.into());
    Ok(response)
}
