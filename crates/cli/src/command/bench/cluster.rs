//! The processes of one run: one server with everything in it, or several that share a ledger, a mail store and a payment sandbox.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::mailbox::Store;
use super::server::{Program, Server};
use super::wire::Target;

/// Servers at work.
pub(super) struct Cluster {
    pub(super) servers: Vec<Server>,
    sandbox: Option<Server>,
    /// Where their mails go.
    pub(super) mails: Store,
}

impl Cluster {
    /// One server with its sandbox in itself and its mails in one file, or with `processes` so many that run every role each.
    pub(super) async fn start(
        data: &Path,
        environment: &[(String, String)],
        processes: Option<u16>,
    ) -> anyhow::Result<Self> {
        let Some(processes) = processes else {
            let server = Server::start(Program::Serve { data, environment }).await?;
            return Ok(Self { servers: vec![server], sandbox: None, mails: Store::File(data.join("mail.mbox")) });
        };
        let data = std::path::absolute(data).context("the path of the data directory is not known")?;
        let sandbox = Server::start(Program::Sandbox { data: &data.join("sandbox") }).await?;
        let below = |name: &str| data.join(name).to_str().map(str::to_owned).context("the path is not UTF-8");
        let shared = [
            ("ORDERMILL_PAYMENTS", format!("sandbox:http://{}", sandbox.target.authority)),
            ("ORDERMILL_MAIL", format!("maildir:{}", below("mail")?)),
            ("ORDERMILL_OBJECTS", format!("file:{}", below("objects")?)),
        ];
        let shared = shared.into_iter().map(|(name, value)| (name.to_owned(), value));
        let environment: Vec<(String, String)> = shared.chain(environment.iter().cloned()).collect();
        let mut servers = Vec::new();
        for number in 1..=processes {
            let own: PathBuf = data.join(format!("process-{number}"));
            servers.push(Server::start(Program::Serve { data: &own, environment: &environment }).await?);
        }
        Ok(Self { servers, sandbox: Some(sandbox), mails: Store::Directory(data.join("mail")) })
    }

    /// Where they listen.
    pub(super) fn targets(&self) -> Vec<Target> {
        self.servers.iter().map(|server| server.target.clone()).collect()
    }

    /// Ends the servers, and then what they paid with.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        for server in self.servers {
            server.stop().await?;
        }
        match self.sandbox {
            Some(sandbox) => sandbox.stop().await,
            None => Ok(()),
        }
    }
}
