//! Customers, the users of a shop, as the shop keeps them here. An order names its customer by id and does not need this record.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::Event;
use crate::id::CustomerId;
use crate::mail::Email;

/// A customer.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The shop's id of them.
    #[serde(rename = "customer_id")]
    pub id: CustomerId,
    /// How they are called.
    pub name: Box<str>,
    /// Where mails go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Where parcels go, in whatever form the shop uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Value>,
    /// The shop's own data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Deleted: kept, as orders name it, and shown only to those who ask for it. Put again, it is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Counts the changes; the first is 1.
    pub version: u32,
}

impl Customer {
    /// The customer after one more event of theirs; `present` is the one before. Deleting counts as a change. `None` while none was
    /// put. Total: an event of any type is taken.
    #[must_use]
    pub fn after(present: Option<Self>, event: &Event) -> Option<Self> {
        match event {
            Event::CustomerPut(customer) => Some(customer.clone()),
            Event::CustomerDeleted(_) => {
                present.map(|customer| Self { deleted: true, version: customer.version.saturating_add(1), ..customer })
            }
            _ => present,
        }
    }
}

/// Shown without the person.
impl std::fmt::Debug for Customer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Customer")
            .field("id", &self.id)
            .field("deleted", &self.deleted)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
