//! The processes of one run: one server with everything in it, or several that share a ledger, a mail store and a payment sandbox.

use std::path::Path;

use anyhow::Context;

use super::mailbox::Store;
use super::server::{Program, Server};
use super::wire::Target;

/// Which processes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One, which shares nothing with others.
    One,
    /// So many, each with every role.
    Alike(u16),
    /// So many of each part of [`PARTS`].
    Apart(u16),
}

/// The three processes of docs/operations.md, and their roles. The first one takes the orders.
const PARTS: [(&str, &str); 3] = [
    ("front", "api"),
    ("till", "payments,inventory,sweeper,relay"),
    ("back", "notifications,archive,tracking,records"),
];

/// Servers at work.
pub(super) struct Cluster {
    pub(super) servers: Vec<Server>,
    /// How many of them, from the first one on, take orders.
    fronts: usize,
    sandbox: Option<Server>,
    /// Where their mails go.
    pub(super) mails: Store,
}

impl Cluster {
    /// Starts them with their data below this directory and these options; what they share is beside it.
    pub(super) async fn start(data: &Path, environment: &[(String, String)], layout: Layout) -> anyhow::Result<Self> {
        let (number, parts): (u16, &[(&str, &str)]) = match layout {
            Layout::One => {
                let server = Server::start(Program::Serve { data, environment }).await?;
                let mails = Store::File(data.join("mail.mbox"));
                return Ok(Self { servers: vec![server], fronts: 1, sandbox: None, mails });
            }
            Layout::Alike(number) => (number, &[("process", "")]),
            Layout::Apart(number) => (number, &PARTS),
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
        for (name, roles) in parts {
            let roles = (!roles.is_empty()).then(|| ("ORDERMILL_ROLES".to_owned(), (*roles).to_owned()));
            let environment: Vec<_> = environment.iter().cloned().chain(roles).collect();
            for number in 1..=number {
                let own = data.join(format!("{name}-{number}"));
                servers.push(Server::start(Program::Serve { data: &own, environment: &environment }).await?);
            }
        }
        let mails = Store::Directory(data.join("mail"));
        Ok(Self { servers, fronts: usize::from(number), sandbox: Some(sandbox), mails })
    }

    /// Where one of them listens that takes orders.
    pub(super) fn front(&self) -> &Target {
        &self.servers[0].target
    }

    /// Where all of those listen that take orders.
    pub(super) fn targets(&self) -> Vec<Target> {
        self.servers.iter().take(self.fronts).map(|server| server.target.clone()).collect()
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

#[cfg(test)]
mod tests {
    use ordermill_core::process::Role;

    use super::*;

    #[test]
    fn each_role_runs_in_one_part() {
        let names: Vec<&str> = PARTS.iter().flat_map(|(_, roles)| roles.split(',')).collect();
        let mut roles: Vec<Role> = names.iter().filter_map(|name| Role::from_name(name)).collect();
        assert_eq!(roles.len(), names.len(), "{names:?}");
        roles.sort_by_key(|role| Role::ALL.iter().position(|known| known == role));
        assert_eq!(roles, Role::ALL);
        assert_eq!(PARTS[0].1, Role::Api.as_str(), "the first part takes the orders");
    }
}
