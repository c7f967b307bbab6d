//! The routes of the five systems that Ordermill replaces, one file each: thin adapters over the same ledger, with the paths, payloads and
//! answers their clients know. What each answers is part of its contract and never changes.

mod enterprise;
mod orchestrator;
mod order_api;
mod records;
mod refusals;
pub(crate) mod settings;
mod tracking;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use self::order_api::waits;
pub(crate) use self::refusals::refuse;
use crate::state::Shared;

/// Every wire route.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .merge(records::routes())
        .merge(enterprise::routes())
        .merge(order_api::routes())
        .merge(orchestrator::routes())
        .merge(tracking::routes())
}

/// Every wire route that must answer however much is under way.
pub(crate) fn watching() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().merge(enterprise::watching()).merge(order_api::watching()).merge(tracking::watching())
}
