//! The database behind a data directory, for tests that change what lies in it.

use std::path::Path;

use tokio_postgres::{Client, NoTls};

/// A connection to the ledger of a data directory.
pub async fn connect(data: &Path) -> Client {
    let config = std::fs::read_to_string(data.join("ordermill.toml")).unwrap();
    let schema = config.split_once("schema=").unwrap().1.split_once('"').unwrap().0;
    let (client, connection) = tokio_postgres::connect(&super::url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path TO {schema}")).await.unwrap();
    client
}

/// Changes rows of that ledger, and gives how many.
pub async fn execute(data: &Path, sql: &str) -> u64 {
    connect(data).await.execute(sql, &[]).await.unwrap()
}
