//! How the wire routes say no: each system in the words its clients know, also for what happens before a handler is asked.

use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};

use crate::problem::Problem;
use crate::wire::{enterprise, orchestrator, order_api, records};

/// A problem as the clients of a route know it; a problem document where nothing else is known.
pub(crate) fn refuse(route: Option<&str>, problem: Problem) -> Response {
    match route {
        Some("/v1/order/" | "/v1/health/") => enterprise::refuse(&problem),
        Some("/orders" | "/orders/" | "/orders/{id}" | "/process-order" | "/health") => order_api::refuse(&problem),
        Some("/" | "/message") => records::refuse(problem),
        Some(orchestrator::ORDER_MANAGEMENT) => orchestrator::refuse(&problem),
        Some(orchestrator::INVOCATIONS) => orchestrator::refuse_invocation(&problem),
        _ => problem.into_response(),
    }
}

/// Responses of one schema, for the document.
pub(super) fn documented(schema: &str, responses: &[(u16, &str)]) -> impl Iterator<Item = (String, RefOr<Documented>)> {
    responses.iter().map(move |(status, description)| {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new().description(*description).content("application/json", content).build();
        (status.to_string(), RefOr::T(response))
    })
}

/// The responses of a system's routes that say no, each set a type of its own.
macro_rules! wire_refusals {
    ($($(#[$meta:meta])* $name:ident: $($shape:ty = [$($status:literal $description:literal),* $(,)?]),* $(,)?;)*) => {
        $($(#[$meta])*
        struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses()
            -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                let mut responses = std::collections::BTreeMap::new();
                $(responses.extend($crate::wire::refusals::documented(
                    &<$shape as utoipa::ToSchema>::name(),
                    &[$(($status, $description)),*],
                ));)*
                responses
            }
        })*
    };
}

pub(super) use wire_refusals;
