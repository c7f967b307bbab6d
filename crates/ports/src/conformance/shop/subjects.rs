//! Customers, parcels and records: making them, asking for them, listing them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::{EventType, RecordReceived};
use ordermill_core::id::{CustomerId, ParcelId, RecordId};
use ordermill_core::input::{Body, Input, ParcelReport, PutCustomer, TakeRecord};
use ordermill_core::parcel::{Parcel, ParcelStatus, Verdict};
use ordermill_core::record::{Record, Stored};
use ordermill_core::refusal::Refusal;

use super::Shop;
use crate::ledger::{Outcome, OutcomeSubject};
use crate::queries::{Deleted, RecordFilter};

/// A customer id of the suite.
#[must_use]
pub fn customer(id: &str) -> CustomerId {
    CustomerId::new(id).expect("the suite's ids are sound")
}

/// A parcel id of the suite.
#[must_use]
pub fn parcel(id: &str) -> ParcelId {
    ParcelId::new(id).expect("the suite's ids are sound")
}

/// So many minutes into the carrier's day, which has nothing to do with the ledger's clock.
#[must_use]
pub fn minute(minutes: i64) -> Timestamp {
    let midnight: Timestamp = "2025-03-30T00:00:00Z".parse().expect("an instant");
    midnight + SignedDuration::from_mins(minutes)
}

/// An input: the carrier saw a parcel there at that minute.
#[must_use]
pub fn report(id: &str, status: ParcelStatus, minutes: i64) -> Input {
    let seen_at = minute(minutes);
    Input::new(Body::Track(ParcelReport { parcel_id: parcel(id), status, seen_at, correlation_id: None }))
}

/// Where a record of the suite is stored.
#[must_use]
pub fn stored(number: u32) -> Stored {
    Stored { key: format!("processed/{number}.json").into(), attempts: 1 }
}

/// What came of a carrier's report.
///
/// # Panics
/// When the outcome is of something else.
#[must_use]
pub fn verdict(outcome: &Outcome) -> (Arc<Parcel>, Verdict) {
    match &outcome.subject {
        OutcomeSubject::Parcel { parcel, verdict } => (Arc::clone(parcel), *verdict),
        other => panic!("the outcome of a report is the parcel: {other:?}"),
    }
}

/// The record an outcome is about.
///
/// # Panics
/// When it is about something else.
#[must_use]
pub fn record(outcome: &Outcome) -> Arc<Record> {
    match &outcome.subject {
        OutcomeSubject::Record(record) => Arc::clone(record),
        other => panic!("the outcome of an input about a record is the record: {other:?}"),
    }
}

impl Shop {
    /// A customer with a name alone.
    #[must_use]
    pub fn customer(&self, id: &str) -> PutCustomer {
        PutCustomer {
            customer_id: customer(id),
            name: format!("Customer {id}").into(),
            email: None,
            address: None,
            metadata: None,
            expected_version: None,
        }
    }

    /// Submits an input about a customer.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When the outcome is about something else.
    pub async fn ask_customer(&self, body: Body) -> Result<(Arc<Customer>, bool), Refusal> {
        let outcome = self.ask(Input::new(body)).await?;
        match outcome.subject {
            OutcomeSubject::Customer(customer) => Ok((customer, outcome.changed)),
            other => panic!("the outcome of an input about a customer is the customer: {other:?}"),
        }
    }

    /// Adds or changes a customer, which must be accepted.
    pub async fn put_customer(&self, put: PutCustomer) -> (Arc<Customer>, bool) {
        self.ask_customer(Body::PutCustomer(Box::new(put))).await.expect("a sound customer is taken")
    }

    /// Every customer, read in pages.
    pub async fn list_customers(&self, deleted: Deleted, limit: usize) -> Vec<Arc<Customer>> {
        let (mut customers, mut after) = (Vec::new(), None);
        loop {
            let page = self.backend.queries.list_customers(after.as_ref(), deleted, limit).await.expect("listable");
            assert!(page.entries.len() <= limit, "a page holds no more than was asked for");
            customers.extend(page.entries);
            after = page.next;
            if after.is_none() {
                return customers;
            }
        }
    }

    /// The carrier reports a parcel; a report is never refused as an input.
    pub async fn track(&self, id: &str, status: ParcelStatus, minutes: i64) -> (Arc<Parcel>, Verdict) {
        verdict(&self.ask(report(id, status, minutes)).await.expect("a report is always answered"))
    }

    /// The types of a parcel's events.
    pub async fn parcel_events(&self, id: &str) -> Vec<EventType> {
        let events = self.backend.queries.parcel_events(&parcel(id), 0).await.expect("events can be read");
        events.iter().map(|committed| committed.recorded.event.kind()).collect()
    }

    /// Every parcel in one of these states, those first reported last first, read in pages.
    pub async fn list_parcels(&self, statuses: &[ParcelStatus], limit: usize) -> Vec<Arc<Parcel>> {
        let (mut parcels, mut before) = (Vec::new(), None);
        loop {
            let page = self.backend.queries.list_parcels(statuses, before, limit).await.expect("listable");
            assert!(page.entries.len() <= limit, "a page holds no more than was asked for");
            parcels.extend(page.entries);
            before = page.next;
            if before.is_none() {
                return parcels;
            }
        }
    }

    /// A new record id; each sorts behind those before.
    #[must_use]
    pub fn record_id(&self) -> RecordId {
        let mut bytes = *RecordId::first_at(self.now()).as_bytes();
        let number = self.ids.fetch_add(1, Ordering::SeqCst) + 1;
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        RecordId::from_bytes(bytes)
    }

    /// A record with this text in it.
    #[must_use]
    pub fn record(&self, text: &str) -> TakeRecord {
        let data = serde_json::json!({ "text": text });
        let received = RecordReceived { data, occurred_at: None, correlation_id: None };
        TakeRecord { record_id: self.record_id(), received }
    }

    /// Submits an input about a record that must be accepted, and gives the record and whether it has changed.
    ///
    /// # Panics
    /// When it is refused, or the outcome is about something else.
    pub async fn ask_record(&self, body: Body) -> (Arc<Record>, bool) {
        let outcome = self.ask(Input::new(body)).await.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        (record(&outcome), outcome.changed)
    }

    /// Takes a record with this text.
    pub async fn take_record(&self, text: &str) -> Arc<Record> {
        self.ask_record(Body::TakeRecord(Box::new(self.record(text)))).await.0
    }

    /// Every record that fits, newest first, read in pages.
    pub async fn list_records(&self, filter: RecordFilter, limit: usize) -> Vec<Arc<Record>> {
        let (mut records, mut before) = (Vec::new(), None);
        loop {
            let page = self.backend.queries.list_records(filter, before, limit).await.expect("listable");
            assert!(page.entries.len() <= limit, "a page holds no more than was asked for");
            records.extend(page.entries);
            before = page.next;
            if before.is_none() {
                return records;
            }
        }
    }
}
