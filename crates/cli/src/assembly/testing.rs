//! A server for tests of the commands: all roles, the ledger in memory.

use std::sync::Arc;

use ordermill_client::Client;
use ordermill_config::{Config, Ledger, Listen};
use tempfile::TempDir;

use super::Server;

/// A server at work, and a client of it.
pub struct Shop {
    pub client: Client,
    server: Server,
    _data: TempDir,
}

impl Shop {
    pub async fn open() -> Self {
        let data = tempfile::tempdir().expect("a directory can be made");
        let mut config = Config::with_defaults(data.path());
        config.http.listen = Listen(([127, 0, 0, 1], 0).into());
        config.ledger = Ledger::Memory;
        let server = Server::start(&config, Arc::new(String::new)).await.expect("it starts");
        let url = format!("http://{}", server.address.expect("it listens"));
        Self { client: Client::new(&url).expect("a URL"), server, _data: data }
    }

    pub async fn close(self) {
        self.server.stop().await;
    }
}
