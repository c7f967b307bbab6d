//! Every route, grouped by who calls it.

use axum::Router;
use axum::extract::MatchedPath;
use axum::response::Response;
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cors;
use crate::error_code::{METHOD_NOT_ALLOWED, NOT_FOUND};
use crate::frame::FrameLayer;
use crate::openapi::Document;
use crate::problem::Problem;
use crate::state::{App, Shared, State};
use crate::{channels, customers, dead_letters, docs, feed, health, orders, products, records, stock, tracking, wire};

/// The interface as a router: for tests, and for hosts that bring their own server.
pub fn router(app: App) -> Router {
    with_state(&State::new(app))
}

pub(crate) fn with_state(state: &Shared) -> Router {
    let (working, _) = working().split_for_parts();
    let (watching, _) = watching().split_for_parts();
    let watching = watching
        .route("/openapi.json", get(docs::openapi_json))
        .route("/docs", get(docs::docs))
        .route("/errors", get(docs::error_pages))
        .route("/errors/{code}", get(docs::error_page));
    let working =
        working.method_not_allowed_fallback(method_not_allowed).layer(FrameLayer::shedding(Shared::clone(state)));
    let router = watching
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(FrameLayer::always(Shared::clone(state)))
        .merge(working)
        .with_state(Shared::clone(state));
    match cors::layer(&state.app.settings) {
        Some(cors) => router.layer(cors),
        None => router,
    }
}

/// Health and metrics alone, for a process that takes no orders.
pub(crate) fn watching_alone(state: &Shared) -> Router {
    let (watching, _) = health_routes().split_for_parts();
    watching
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(nothing_else)
        .layer(FrameLayer::always(Shared::clone(state)))
        .with_state(Shared::clone(state))
}

/// Everything that is in the OpenAPI document.
pub(crate) fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Document::openapi()).merge(working()).merge(watching())
}

/// For shops, and for people who look after orders.
fn working() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(orders::place::place, orders::read::list))
        .routes(routes!(orders::read::get))
        .routes(routes!(orders::events::list))
        .routes(routes!(orders::stream::follow))
        .routes(routes!(orders::actions::cancel))
        .routes(routes!(orders::actions::refund))
        .routes(routes!(orders::actions::take_back))
        .routes(routes!(orders::actions::retry))
        .routes(routes!(orders::actions::resolve))
        .routes(routes!(products::list, products::import))
        .routes(routes!(products::get, products::put, products::delete))
        .routes(routes!(customers::list))
        .routes(routes!(customers::get, customers::put, customers::delete))
        .routes(routes!(customers::users::list))
        .routes(routes!(customers::users::get, customers::users::put, customers::users::delete))
        .routes(routes!(records::list, records::take))
        .routes(routes!(records::get))
        .routes(routes!(stock::list))
        .routes(routes!(stock::get, stock::set))
        .routes(routes!(stock::adjust))
        .routes(routes!(feed::list))
        .routes(routes!(feed::stream::follow))
        .routes(routes!(channels::list))
        .routes(routes!(channels::messages::list))
        .routes(routes!(channels::stream::follow))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::get))
        .routes(routes!(dead_letters::redrive))
        .routes(routes!(tracking::report::report, tracking::list::list))
        .routes(routes!(tracking::parcel::get))
        .routes(routes!(tracking::timeline::list))
        .routes(routes!(tracking::timeline::follow))
        .merge(wire::routes())
}

/// For whoever keeps it running: answered however much is under way.
fn watching() -> OpenApiRouter<Shared> {
    health_routes().merge(wire::watching())
}

fn health_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(health::health)).routes(routes!(health::ready)).routes(routes!(health::metrics))
}

async fn not_found() -> Problem {
    Problem::new(&NOT_FOUND, "there is nothing at this address; /docs lists what there is")
}

async fn nothing_else() -> Problem {
    Problem::new(&NOT_FOUND, "this process does not run the role api: it answers /healthz, /readyz and /metrics alone")
}

async fn method_not_allowed(route: Option<MatchedPath>) -> Response {
    let problem = Problem::new(&METHOD_NOT_ALLOWED, "the methods that are possible here are in the Allow header");
    wire::refuse(route.as_ref().map(MatchedPath::as_str), problem)
}
