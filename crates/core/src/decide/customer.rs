//! Customers, as people set them.

use crate::customer::Customer;
use crate::decide::{Decision, catalogue};
use crate::event::{Empty, Event, Subject};
use crate::facts::Facts;
use crate::id::CustomerId;
use crate::input::PutCustomer;
use crate::refusal::Refusal;

/// Adds or changes a customer. The same content again changes nothing.
pub(super) fn put(facts: &impl Facts, put: &PutCustomer) -> Result<Decision, Refusal> {
    let present = facts.customer(&put.customer_id);
    catalogue::expect_version(put.expected_version, present.map_or(0, |customer| customer.version.into()))?;
    let customer = Customer {
        id: put.customer_id.clone(),
        name: put.name.clone(),
        email: put.email.clone(),
        address: put.address.clone(),
        metadata: put.metadata.clone(),
        deleted: false,
        version: present.map_or(1, |customer| customer.version.saturating_add(1)),
    };
    let is_same = present.is_some_and(|present| Customer { version: present.version, ..customer.clone() } == *present);
    let events = if is_same { Vec::new() } else { vec![Event::CustomerPut(customer)] };
    Ok(Decision::about(Subject::Customer(put.customer_id.clone()), events))
}

/// Deletes a customer. Deleting again changes nothing.
pub(super) fn delete(
    facts: &impl Facts,
    customer_id: &CustomerId,
    expected_version: Option<u64>,
) -> Result<Decision, Refusal> {
    let Some(customer) = facts.customer(customer_id) else {
        return Err(Refusal::CustomerNotFound { customer_id: customer_id.clone() });
    };
    catalogue::expect_version(expected_version, customer.version.into())?;
    let events = if customer.deleted { Vec::new() } else { vec![Event::CustomerDeleted(Empty {})] };
    Ok(Decision::about(Subject::Customer(customer_id.clone()), events))
}
