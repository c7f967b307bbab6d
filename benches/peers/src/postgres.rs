//! The PostgreSQL server that both sides of a comparison use, each with an empty one of its own.

use anyhow::{Context, Result};

pub use server::Server;

#[expect(dead_code, reason = "the tests of Ordermill need more of it")]
#[path = "../../../crates/postgres/tests/support/server.rs"]
mod server;

/// Starts a server as it comes, apart from these settings: its commits are synced. It ends when it is dropped.
pub async fn start(settings: &[String]) -> Result<Server> {
    let settings = settings.to_vec();
    let started = tokio::task::spawn_blocking(move || {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Server::start(&settings)
    });
    started.await.context("PostgreSQL cannot be started")
}
