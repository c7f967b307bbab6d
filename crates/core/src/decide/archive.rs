//! What the archive holds.

use crate::decide::Decision;
use crate::event::{Archived, Event};
use crate::order::Order;

pub(super) fn archived(order: &Order, version: u32) -> Decision {
    let is_known = order.archived.is_some_and(|held| held >= version || !order.is_archive_due());
    if is_known || version > order.version {
        return Decision::unchanged(order.id);
    }
    Decision::order(order.id, vec![Event::OrderArchived(Archived { version })])
}
