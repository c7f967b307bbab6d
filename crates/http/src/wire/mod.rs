//! The routes of the five systems that Ordermill replaces, one file each: thin adapters over the same ledger, with the paths, payloads and
//! answers their clients know. What each answers is part of its contract and never changes.

mod records;
pub(crate) mod settings;

use utoipa_axum::router::OpenApiRouter;

use crate::state::Shared;

/// Every wire route.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().merge(records::routes())
}
