//! `/v1/users`: customers by the name that the enterprise services give them. The same things, answered by the same handlers.

use axum::extract::{Request, State};
use axum::response::Response;
use http::HeaderMap;

use crate::customers;
use crate::openapi::{CustomerProblems, CustomerRequest, CustomerSchema, ListProblems, ReadCustomerProblems};
use crate::problem::Problem;
use crate::query::{CustomerPath, Params};
use crate::state::Shared;

/// List customers by id; the same as `/v1/customers`.
#[utoipa::path(
    get, path = "/v1/users", tag = "customers", operation_id = "list_users",
    params(
        ("deleted" = Option<bool>, Query, description = "`true` shows who was deleted, too."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Customers in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of customers.", body = customers::CustomerPage), ListProblems)
)]
pub(crate) async fn list(state: State<Shared>, params: Params) -> Result<Response, Problem> {
    customers::list(state, params).await
}

/// Get one customer; the same as `/v1/customers/{id}`.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "customers", operation_id = "get_user",
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
    state: State<Shared>,
    id: CustomerPath,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    customers::get(state, id, params, headers).await
}

/// Add or change a customer; the same as `/v1/customers/{id}`, and the body may call the id `user_id`.
#[utoipa::path(
    put, path = "/v1/users/{id}", tag = "customers", operation_id = "put_user",
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
pub(crate) async fn put(state: State<Shared>, id: CustomerPath, request: Request) -> Result<Response, Problem> {
    customers::put(state, id, request).await
}

/// Delete a customer; the same as `/v1/customers/{id}`.
#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "customers", operation_id = "delete_user",
    params(
        ("id" = String, Path, description = "The customer's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
    ),
    responses((status = 200, description = "The customer, deleted.", body = CustomerSchema, headers(("ETag" = String))), CustomerProblems)
)]
pub(crate) async fn delete(state: State<Shared>, id: CustomerPath, headers: HeaderMap) -> Result<Response, Problem> {
    customers::delete(state, id, headers).await
}
