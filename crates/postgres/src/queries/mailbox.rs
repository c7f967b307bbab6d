//! Where the mail file ends, for whoever is about to cut off what lies behind it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::codec::{get, natural};
use crate::connect::Session;
use crate::error::StoreError;
use crate::read::rows;

/// How long between two looks at whether a transaction is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How long it is waited before somebody is told, and from then on how often.
const WARN_INTERVAL: Duration = Duration::from_secs(5);

/// Transactions that have begun to write. What mails an order had is written behind a lock on the order, so that a commit of such a thing
/// holds these locks for as long as it is not visible, also where nobody waits for its answer any more.
const WRITING: &str = "SELECT DISTINCT virtualtransaction FROM pg_locks
    WHERE locktype = 'relation' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND relation IN ('orders'::regclass, 'feed_head'::regclass) AND mode IN ('RowShareLock', 'RowExclusiveLock')";

/// The end as the last commit has left it. A process that was killed may have written mails whose COMMIT is still at work on the server, or
/// waits there for a standby: it moves the end when it is through. So whatever was begun before this was asked is waited for.
pub(super) async fn end(client: &Session) -> Result<Option<u64>, StoreError> {
    let mut begun = writing(client).await?;
    let mut warning = Instant::now() + WARN_INTERVAL;
    while !begun.is_empty() {
        if Instant::now() >= warning {
            warning += WARN_INTERVAL;
            tracing::warn!(
                transactions = begun.len(),
                "the mail file waits for commits that are under way on the ledger's server"
            );
        }
        sleep(LOOK_INTERVAL).await;
        let still = writing(client).await?;
        begun.retain(|transaction| still.contains(transaction));
    }
    let found = rows(client, "SELECT mailbox_end FROM feed_head", &[]).await?;
    let end: Option<i64> = found.first().map(|row| get(row, 0)).transpose()?.flatten();
    Ok(end.map(natural))
}

async fn writing(client: &Session) -> Result<Vec<String>, StoreError> {
    rows(client, WRITING, &[]).await?.iter().map(|row| get(row, 0)).collect()
}
