//! What there is to compare with: the least an HTTP server in this language does with an order, which is to read its JSON and
//! write it back.

use std::net::SocketAddr;

use axum::Json;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

/// Where the echo answers.
pub(super) const PATH: &str = "/echo";

#[derive(Serialize, Deserialize)]
struct Order {
    customer_id: String,
    customer_email: Option<String>,
    lines: Vec<Line>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    product_id: String,
    quantity: i64,
}

/// Serves until the process is asked to end.
pub(super) async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let router = axum::Router::new()
        .route(PATH, post(|Json(order): Json<Order>| async move { Json(order) }))
        .route("/readyz", get(|| async { "ready" }));
    let listener = tokio::net::TcpListener::bind(address).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    axum::serve(listener, router).with_graceful_shutdown(async move { terminate.recv().await.unwrap_or(()) }).await?;
    Ok(())
}
