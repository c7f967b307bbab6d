//! Subjects as their events leave them: what rows are made of.

use ordermill_core::customer::Customer;
use ordermill_core::event::{Recorded, Subject};
use ordermill_core::order::Order;
use ordermill_core::parcel::Parcel;
use ordermill_core::product::Product;
use ordermill_core::record::Record;

use super::MoveError;

/// One subject, folded from its events.
#[derive(Debug, Clone, PartialEq)]
pub enum Folded {
    /// An order.
    Order(Box<Order>),
    /// A product, with the number of its events, those of its stock included. `None` where only its stock has events.
    Product(Option<Product>, u32),
    /// A customer.
    Customer(Customer),
    /// A parcel.
    Parcel(Parcel),
    /// A record.
    Record(Record),
}

/// Folds the events of one subject, oldest first.
///
/// # Errors
/// [`MoveError::Unreadable`] when one is missing, or the first is not one that such a subject begins with.
pub fn fold(subject: &Subject, events: &[Recorded]) -> Result<Folded, MoveError> {
    let unreadable = |what: &str| MoveError::Unreadable(format!("the events of {subject:?} {what}"));
    if !events.iter().zip(1..).all(|(recorded, version)| recorded.version == version) {
        return Err(unreadable("are not all there"));
    }
    let pairs = || events.iter().map(|recorded| (&recorded.event, recorded.at));
    let folded = match subject {
        Subject::Order(id) => Order::fold(*id, pairs()).map(Box::new).map(Folded::Order),
        Subject::Product(_) => {
            let product = events.iter().fold(None, |present, recorded| Product::after(present, &recorded.event));
            let count = u32::try_from(events.len()).unwrap_or(u32::MAX);
            Some(Folded::Product(product, count))
        }
        Subject::Customer(_) => {
            let after = |present: Option<Customer>, recorded: &Recorded| Customer::after(present, &recorded.event);
            events.iter().fold(None, after).map(Folded::Customer)
        }
        Subject::Parcel(id) => Parcel::fold(id.clone(), pairs()).map(Folded::Parcel),
        Subject::Record(id) => Record::fold(*id, pairs()).map(Folded::Record),
    };
    folded.ok_or_else(|| unreadable("do not begin as they must"))
}
