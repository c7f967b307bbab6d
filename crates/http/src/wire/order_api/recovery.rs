//! Orders whose server died while their client was waiting. The client saw its connection break and tries again, so its order is called
//! off like that of any client that is gone.

use ordermill_core::Timestamp;
use ordermill_core::limits::PAGE_ENTRIES_MAX;
use ordermill_core::order::{Order, Status};
use ordermill_ports::queries::{OrderFilter, QueryError};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::errand::{Errand, PAUSE_MAX};
use crate::state::Shared;

/// How often the orders are looked for when the ledger cannot be read.
const TRIES: usize = 30;

/// Marks an order without a key, in its metadata: nobody can find it again but by an answer.
pub(super) fn mark() -> Value {
    json!({ "wire": "order_api" })
}

fn is_marked(order: &Order) -> bool {
    order.placement.metadata.as_ref().is_some_and(|metadata| metadata["wire"] == "order_api")
}

/// Calls off every undecided order that was taken before this is called and that no client waits for, as this process has only begun.
/// Where other processes take orders too, it is first waited until those are decided or called off there that are waited for.
///
/// An order that was confirmed right before the server died stays: whether its client has read the answer is not known here.
pub(crate) fn recover(state: Shared) -> impl Future<Output = ()> + Send {
    // Looked at now and not when the ledger can be read at last: what was taken meanwhile has its client here.
    let began = state.app.clock.now();
    let wait = state.app.settings.wire.order_api_recovery_after;
    let at_once = wait.is_zero().then(|| state.errand());
    async move {
        if at_once.is_none() {
            tokio::select! {
                () = sleep(wait) => {}
                () = state.closed() => return,
            }
        }
        let under_way = at_once.unwrap_or_else(|| state.errand());
        call_off(&state, began).await;
        drop(under_way);
    }
}

async fn call_off(state: &Shared, began: Timestamp) {
    for _ in 0..TRIES {
        match left_behind(state, began).await {
            Ok(errands) => {
                for errand in errands {
                    errand.abandon().await;
                }
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "orders without a client could not be looked for yet");
                tokio::select! {
                    () = sleep(PAUSE_MAX) => {}
                    () = state.closed() => return,
                }
            }
        }
    }
    tracing::error!("orders without a client could not be looked for, so some may go on and be charged");
}

async fn left_behind(state: &Shared, began: Timestamp) -> Result<Vec<Errand>, QueryError> {
    let statuses = vec![Status::Placed, Status::Authorized, Status::Reserved];
    let filter = OrderFilter { statuses, to: Some(began), ..OrderFilter::default() };
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = state.app.queries.list_orders(&filter, before, PAGE_ENTRIES_MAX).await?;
        let marked = page.entries.iter().filter(|order| is_marked(order));
        found.extend(marked.map(|order| Errand::of_nobody(Shared::clone(state), order.id)));
        before = page.next;
        if before.is_none() {
            return Ok(found);
        }
    }
}
