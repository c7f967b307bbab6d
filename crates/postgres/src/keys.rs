//! Idempotency keys whose time is over are deleted now and then.

use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use crate::read::execute;
use crate::shared::Shared;

/// How long between two looks.
const PAUSE: Duration = Duration::from_secs(30);

/// Keys deleted in one transaction.
const BATCH: u64 = 1_000;

/// Of several processes each passes over what another is at. A key counts beyond its time while its order is undecided.
const SWEEP: &str = "DELETE FROM idempotency WHERE key IN (
    SELECT key FROM idempotency AS i
    WHERE expires_at <= $1 AND NOT EXISTS (
        SELECT FROM orders AS o WHERE o.id = i.order_id AND o.status IN ('placed', 'authorized', 'reserved'))
    ORDER BY expires_at LIMIT 1000 FOR UPDATE OF i SKIP LOCKED)";

/// Deletes until the ledger closes.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    let mut closing = std::pin::pin!(shared.closing());
    loop {
        tokio::select! {
            () = &mut closing => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        if let Err(error) = sweep_once(&shared).await {
            tracing::debug!(%error, "expired keys could not be deleted; they are tried again");
        }
    }
}

async fn sweep_once(shared: &Shared) -> Result<(), StoreError> {
    while !shared.is_closing() {
        let client = shared.pool.client().await?;
        if execute(&client, SWEEP, &[&shared.now()]).await? < BATCH {
            return Ok(());
        }
    }
    Ok(())
}
