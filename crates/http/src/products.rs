//! Products: what can be ordered, and at what price.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use ordermill_core::id::ProductId;
use ordermill_core::input::{Body as InputBody, Input};
use ordermill_core::intake::ProductDraft;
use ordermill_core::product::Product;
use ordermill_ports::ledger::OutcomeSubject;
use ordermill_ports::queries::Deleted;
use ordermill_ports::{Outcome, Source};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{self, MediaType};
use crate::bulk::{self, Import};
use crate::cursor::Cursor as _;
use crate::error_code::{INVALID_REQUEST, PRODUCT_NOT_FOUND};
use crate::etag::{self, Present};
use crate::json;
use crate::openapi::{BulkProblems, CatalogueProblems, ListProblems, ProductLine, ProductRequest, ProductSchema, ReadProductProblems};
use crate::problem::Problem;
use crate::query::{Params, ProductPath};
use crate::representation::json as json_response;
use crate::state::{Shared, State as Inner};

/// A page of products, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProductPage {
    /// The products.
    #[schema(value_type = Vec<ProductSchema>)]
    products: Vec<Arc<Product>>,
    /// Gives the next page; `null` at the end.
    next: Option<String>,
}

/// List products by id.
#[utoipa::path(
    get, path = "/v1/products", tag = "catalogue", operation_id = "list_products",
    params(
        ("deleted" = Option<bool>, Query, description = "`true` shows what was deleted, too."),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "Products in the page, 1 to 500; 50 if left out."),
    ),
    responses((status = 200, description = "A page of products.", body = ProductPage), ListProblems)
)]
pub(crate) async fn list(State(state): State<Shared>, mut params: Params) -> Result<Response, Problem> {
    let deleted = params.deleted();
    let after = params.cursor::<ProductId>();
    let limit = params.limit();
    params.finish()?;
    let page = state.app.queries.list_products(after.as_ref(), deleted, limit).await?;
    let next = page.next.map(|id| id.encode());
    Ok(json_response(StatusCode::OK, &ProductPage { products: page.entries, next }))
}

/// Get one product.
#[utoipa::path(
    get, path = "/v1/products/{id}", tag = "catalogue", operation_id = "get_product",
    params(
        ("id" = String, Path, description = "The product's id."),
        ("deleted" = Option<bool>, Query, description = "`true` shows it also when it was deleted."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag`; answered 304 while the product is still that one."),
    ),
    responses(
        (status = 200, description = "The product.", body = ProductSchema, headers(("ETag" = String, description = "The product's version."))),
        (status = 304, description = "Unchanged."),
        ReadProductProblems,
    )
)]
pub(crate) async fn get(
    State(state): State<Shared>,
    ProductPath(id): ProductPath,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let deleted = params.deleted();
    params.finish()?;
    let product = state.app.queries.product(&id).await?;
    let product = product.filter(|product| !product.deleted || deleted == Deleted::Shown);
    let product = product.ok_or_else(|| Problem::new(&PRODUCT_NOT_FOUND, format!("there is no product {id:?}")))?;
    Ok(etag::answer_read(&headers, product.version.into(), &*product))
}

/// Add or change a product.
///
/// The same content again changes nothing. `If-Match` refuses a change to another version than the one that was read;
/// `If-None-Match: *` only adds. One that was deleted is there again. Orders keep the price they were taken at.
#[utoipa::path(
    put, path = "/v1/products/{id}", tag = "catalogue", operation_id = "put_product",
    request_body = ProductRequest,
    params(
        ("id" = String, Path, description = "The product's id: at most 128 characters of the shop's own."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: only if there is no such product."),
    ),
    responses(
        (status = 200, description = "The product, changed or as it was.", body = ProductSchema, headers(("ETag" = String))),
        (status = 201, description = "The product, added.", body = ProductSchema, headers(("ETag" = String))),
        CatalogueProblems,
    )
)]
pub(crate) async fn put(
    State(state): State<Shared>,
    ProductPath(id): ProductPath,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let draft: ProductDraft = body::read_json(&state, &parts.headers, body, &INVALID_REQUEST).await?;
    if draft.stock.is_some() {
        let elsewhere = "is taken in bulk requests only; set it with PUT /v1/stock/{id}";
        return Err(Problem::field(&INVALID_REQUEST, "stock", elsewhere));
    }
    let expected = expected_version(&state, &id, &parts.headers).await?;
    let put =
        draft.check(Some(id.as_str()), expected).map_err(|errors| Problem::violations(&INVALID_REQUEST, errors))?;
    let outcome = state.app.ledger.submit_one(Source::Live, Input::new(InputBody::PutProduct(put))).await?;
    let product = product_of(&outcome)?;
    let added = outcome.changed && product.version == 1;
    let mut response = json_response(if added { StatusCode::CREATED } else { StatusCode::OK }, product);
    etag::set(&mut response, product.version.into());
    Ok(response)
}

/// Take a product out of the catalogue.
///
/// It cannot be ordered any more and is shown only to those who ask for it. Its stock stays, and orders of it go on. Deleting it again
/// changes nothing; putting it again brings it back.
#[utoipa::path(
    delete, path = "/v1/products/{id}", tag = "catalogue", operation_id = "delete_product",
    params(
        ("id" = String, Path, description = "The product's id."),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read, or `*`."),
    ),
    responses((status = 200, description = "The product, deleted.", body = ProductSchema, headers(("ETag" = String))), CatalogueProblems)
)]
pub(crate) async fn delete(
    State(state): State<Shared>,
    ProductPath(product_id): ProductPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expected_version = expected_version(&state, &product_id, &headers).await?;
    let delete = InputBody::DeleteProduct { product_id, expected_version };
    let outcome = state.app.ledger.submit_one(Source::Live, Input::new(delete)).await?;
    let product = product_of(&outcome)?;
    let mut response = json_response(StatusCode::OK, product);
    etag::set(&mut response, product.version.into());
    Ok(response)
}

async fn expected_version(state: &Inner, id: &ProductId, headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let present = async {
        let product = state.app.queries.product(id).await?;
        Ok(product.map_or_else(Present::default, |product| Present {
            version: product.version.into(),
            deleted: product.deleted,
        }))
    };
    etag::expected_version(headers, present).await
}

fn product_of(outcome: &Outcome) -> Result<&Product, Problem> {
    match &outcome.subject {
        OutcomeSubject::Product { product, .. } => Ok(product),
        _ => Err(Problem::internal(&"the ledger gave no product for an input about one")),
    }
}

/// Add or change many products, one a line.
///
/// Always answered 200, with one result a line in the order of the lines, as a stream. `stock` opens the stock of a product where
/// none was ever set; it never changes one, so that the same file can be sent again.
#[utoipa::path(
    post, path = "/v1/products", tag = "catalogue", operation_id = "import_products",
    request_body(content = ProductRequest, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "One result a line.", body = ProductLine, content_type = "application/x-ndjson"),
        BulkProblems,
    )
)]
pub(crate) async fn import(State(state): State<Shared>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    if body::media_type(&headers) != MediaType::Ndjson {
        return Err(body::unsupported(&headers, "application/x-ndjson"));
    }
    let room = state.admission.bulk()?;
    Ok(bulk::respond(&state, room, body, Products))
}

struct Products;

/// A line of the answer for a product that was taken.
#[derive(Serialize)]
struct TakenLine<'a> {
    line: u64,
    product_id: &'a ProductId,
    version: u32,
    changed: bool,
}

impl Import for Products {
    fn input(&self, _number: u64, line: &[u8]) -> Result<Input, Problem> {
        let draft: ProductDraft = json::parse(line, &INVALID_REQUEST)?;
        let put = draft.check(None, None).map_err(|errors| Problem::violations(&INVALID_REQUEST, errors))?;
        Ok(Input::new(InputBody::PutProduct(put)))
    }

    fn answer(&self, number: u64, outcome: &Outcome, out: &mut Vec<u8>) -> Result<(), Problem> {
        let product = product_of(outcome)?;
        let line =
            TakenLine { line: number, product_id: &product.id, version: product.version, changed: outcome.changed };
        serde_json::to_writer(out, &line).map_err(|error| Problem::internal(&error))
    }
}
