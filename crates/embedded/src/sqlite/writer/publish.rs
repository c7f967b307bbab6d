//! After the commit: the overlay becomes memory, roles and watchers are woken, callers answered.

use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use ordermill_ports::ledger::{Outcome, OutcomeSubject, SubmitError};

use super::super::codec::int;
use super::super::memory::Held;
use super::super::parcels::{HeldParcel, UnwrittenParcel};
use super::super::shared::Shared;
use super::batch::Staged;
use super::memory::{KeySweep, Memory};
use super::overlay::{Fate, Overlay, StagedOrder, changed_parcels};

/// What a commit leaves to be merged.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) overlay: Overlay,
    pub(super) now: Timestamp,
    pub(super) position: u64,
    pub(super) key_row: i64,
    pub(super) stock_slot: i64,
    pub(super) sweep: KeySweep,
}

/// Merges a commit into memory. Gives the orders that changed.
pub(super) fn merge(shared: &Shared, memory: &mut Memory, committed: &mut Committed) {
    let overlay = &mut committed.overlay;
    memory.position = committed.position;
    memory.now = committed.now;
    memory.key_row = committed.key_row;
    memory.stock_slot = committed.stock_slot;
    memory.sweep = committed.sweep;
    memory.customers.committed(&overlay.customers);
    for (key, row) in overlay.new_keys.drain(..) {
        memory.keys.insert(key.as_str(), row);
    }
    for (key, row) in overlay.old_keys.drain(..) {
        memory.keys.remove(&key, row);
    }
    merge_orders(shared, memory, overlay);
    merge_parcels(shared, memory, overlay);
    if !overlay.items.is_empty() {
        let mut catalogue = shared.catalogue.write();
        for (id, staged) in overlay.items.drain() {
            if staged.product_changed || staged.stock_changed {
                catalogue.insert(id, staged.item);
            }
        }
    }
    shared.totals.lock().merge(&overlay.totals);
    let mut mailbox_end = shared.mailbox_end.lock();
    *mailbox_end = mailbox_end.max(overlay.mailbox_end);
}

fn merge_orders(shared: &Shared, memory: &mut Memory, overlay: &Overlay) {
    for staged in changed(overlay) {
        if staged.before.is_none() {
            memory.known.insert(staged.order.id);
        }
        if staged.before.is_none_or(|before| before.status != staged.order.status) {
            shared.meters.reached(staged.order.status);
        }
        shared.orders.put(Held { order: Arc::clone(&staged.order), trail: staged.trail.clone() });
    }
    let mut deadlines = shared.deadlines.lock();
    for staged in changed(overlay) {
        let order = &*staged.order;
        deadlines.committed(order, order.deadline(&shared.policy));
    }
}

fn merge_parcels(shared: &Shared, memory: &mut Memory, overlay: &Overlay) {
    for staged in changed_parcels(overlay) {
        memory.unwritten.insert(int(staged.trail.first()), staged.parcel.id.clone());
    }
    shared.parcels.found(changed_parcels(overlay).filter(|staged| staged.is_new).map(|staged| {
        let row = int(staged.trail.first());
        (&staged.parcel.id, row)
    }));
    for staged in changed_parcels(overlay) {
        let held = HeldParcel { parcel: Arc::clone(&staged.parcel), trail: staged.trail.clone() };
        shared.parcels.put(UnwrittenParcel { held, stored: staged.stored });
    }
    memory.unwritten.committed(&overlay.written);
    for (_, id) in &overlay.written.rows {
        shared.parcels.written(id);
    }
}

/// Wakes everyone who waits for what the commit did.
pub(super) fn announce(shared: &Shared, overlay: &mut Overlay) {
    shared.feed.append(overlay.events.drain(..));
    for (role, position, fate) in overlay.fates.drain(..) {
        let seat = shared.roles.seat(role);
        let mut state = seat.state.lock();
        match fate {
            Fate::Done => state.settle(position),
            Fate::Stored => state.stored(position),
            Fate::Parked(delivery, due) => {
                state.settle(position);
                state.park(delivery, due);
                drop(state);
                seat.bell.notify_waiters();
            }
        }
    }
    for (role, position) in overlay.cursors.drain(..) {
        shared.roles.seat(role).state.lock().committed = position;
    }
    shared.roles.ring(overlay.kinds);
    shared.watchers.wake(changed(overlay).map(|staged| &staged.order.id));
    shared.parcel_watchers.wake(changed_parcels(overlay).map(|staged| &staged.parcel.id));
}

fn changed(overlay: &Overlay) -> impl Iterator<Item = &StagedOrder> {
    overlay.orders.values().flatten().filter(|staged| staged.changed)
}

/// How many orders this commit began and left undecided, and how many it decided.
pub(super) fn undecided_change(overlay: &Overlay) -> (usize, usize) {
    let (mut begun, mut decided) = (0, 0);
    for staged in changed(overlay) {
        let before = staged.before.is_some_and(|before| before.status.is_undecided());
        let after = staged.order.status.is_undecided();
        begun += usize::from(after && !before);
        decided += usize::from(before && !after);
    }
    (begun, decided)
}

/// The answer to an input, after its commit was merged.
pub(super) fn outcome(shared: &Shared, overlay: &Overlay, staged: Staged) -> Result<Outcome, SubmitError> {
    let order = |id: OrderId| -> Option<Arc<Order>> { overlay.staged(id).map(|staged| Arc::clone(&staged.order)) };
    let mut expires_at = None;
    let (subject, changed, replayed) = match staged {
        Staged::Order { id, changed, replayed, key_expires_at } => {
            expires_at = key_expires_at;
            (order(id).map(OutcomeSubject::Order), changed, replayed)
        }
        Staged::Product { id, changed } => {
            let catalogue = shared.catalogue.read();
            let item = catalogue.get(&id);
            let product = item.and_then(|item| item.product.clone());
            let stock = item.and_then(|item| item.stock.clone());
            (product.map(|product| OutcomeSubject::Product { product, stock }), changed, false)
        }
        Staged::Stock { level, replayed } => (Some(OutcomeSubject::Stock(level)), !replayed, replayed),
        Staged::Customer { id, changed } => {
            let customer = overlay.customer(&id).map(|staged| Arc::clone(&staged.customer));
            (customer.map(OutcomeSubject::Customer), changed, false)
        }
        Staged::Parcel { id, verdict, changed } => {
            let parcel = overlay.parcel(&id).map(|staged| Arc::clone(&staged.parcel));
            (parcel.map(|parcel| OutcomeSubject::Parcel { parcel, verdict }), changed, false)
        }
        Staged::Record { id, changed, replayed } => {
            let record = overlay.record(id).map(|staged| Arc::clone(&staged.record));
            (record.map(OutcomeSubject::Record), changed, replayed)
        }
        Staged::Nothing => (Some(OutcomeSubject::Nothing), false, false),
        Staged::Failed(error) => return Err(error),
    };
    // What was decided on is always there.
    let subject = subject.unwrap_or(OutcomeSubject::Nothing);
    Ok(Outcome { subject, changed, replayed, key_expires_at: expires_at })
}
