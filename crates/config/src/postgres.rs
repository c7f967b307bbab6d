//! `[postgres]`: how a process uses the server that holds the ledger.

use serde::Deserialize;

use crate::period::Period;

/// Connections that are not for committers: at least two for reads, and two for counting and for finding out what became of a commit.
const CONNECTIONS_BESIDE_COMMITTERS: usize = 4;

/// `[postgres]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Connections of this process, at most.
    pub connections: usize,
    /// Transactions of this process under way at a time.
    pub committers: usize,
    /// How long the server may take for anything before it is thought to hang.
    pub answer_max: Period,
    /// How long a lease on a share of a role holds.
    pub lease: Period,
    /// How often the database is looked at for what nobody told this process of.
    pub poll: Period,
    /// Whether this process listens for notifications.
    pub listen: bool,
}

impl Postgres {
    /// Refuses so many committers that too little is left for reads.
    ///
    /// # Errors
    /// How many connections have to be left.
    pub(crate) fn check_committers(&self) -> Result<(), String> {
        if self.committers + CONNECTIONS_BESIDE_COMMITTERS <= self.connections {
            return Ok(());
        }
        let Self { connections, committers, .. } = self;
        let left = CONNECTIONS_BESIDE_COMMITTERS;
        Err(format!("must leave at least {left} connections for all else; {committers} of {connections} do not"))
    }
}
