//! Folded orders, so that their events need not be read again. Each is right for its version; what came after has to be read.

use std::collections::HashMap;
use std::sync::Arc;

use ordermill_core::id::OrderId;
use ordermill_core::order::Order;
use parking_lot::Mutex;

/// Orders in each of the two halves: some tens of megabytes together.
const HALF_MAX: usize = 16 * 1024;

/// A bounded cache in two halves: what was used lately is in the young one, and when that is full it becomes the old one.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Halves>);

#[derive(Default)]
struct Halves {
    young: HashMap<OrderId, Arc<Order>>,
    old: HashMap<OrderId, Arc<Order>>,
}

impl Halves {
    fn put(&mut self, order: Arc<Order>) {
        if self.young.len() >= HALF_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(order.id, order);
    }
}

impl Orders {
    /// The order as it was once; newer events are to be read.
    pub(crate) fn get(&self, id: OrderId) -> Option<Arc<Order>> {
        let mut halves = self.0.lock();
        if let Some(order) = halves.young.get(&id) {
            return Some(Arc::clone(order));
        }
        let order = halves.old.remove(&id)?;
        halves.put(Arc::clone(&order));
        Some(order)
    }

    /// Keeps committed orders, unless a newer version is there.
    pub(crate) fn put(&self, orders: impl IntoIterator<Item = Arc<Order>>) {
        let mut halves = self.0.lock();
        for order in orders {
            let known = halves.young.get(&order.id).or_else(|| halves.old.get(&order.id));
            if known.is_none_or(|known| known.version < order.version) {
                halves.put(order);
            }
        }
    }

    /// Forgets everything: behind a lost connection may be another server, which lacks the newest commits of the one before.
    pub(crate) fn clear(&self) {
        *self.0.lock() = Halves::default();
    }
}
