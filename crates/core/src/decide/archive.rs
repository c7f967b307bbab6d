//! What the archive holds.

use crate::decide::Decision;
use crate::event::{Archived, Event};
use crate::order::Order;

pub(super) fn archived(order: &Order, version: u32) -> Decision {
    if order.archived.is_some_and(|held| held >= version) || version > order.version {
        return Decision::unchanged(order.id);
    }
    Decision::order(order.id, vec![Event::OrderArchived(Archived { version })])
}
