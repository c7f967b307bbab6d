//! What the histories of all subjects have in common.

use ordermill_core::event::{Recorded, Subject};

/// The first place where the events of a subject are not counted one by one.
pub(super) fn find_gap(subject: &Subject, events: &[Recorded]) -> Option<String> {
    for (expected, recorded) in (1_u32..).zip(events) {
        if recorded.version != expected {
            return Some(format!("version {} where version {expected} should be", recorded.version));
        }
        if recorded.subject != *subject {
            return Some(format!("version {expected} is an event of something else"));
        }
    }
    None
}
