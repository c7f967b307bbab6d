//! Customers, parcels and records: subjects that are folded from their own events alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::{Event, Recorded, Subject};
use ordermill_core::id::{CustomerId, ParcelId, RecordId};
use ordermill_core::parcel::{Parcel, Verdict};
use ordermill_core::record::Record;
use ordermill_ports::ledger::OutcomeSubject;

use super::state::State;

/// A subject as it is, with the places of its events in the log.
pub(super) struct Kept<T> {
    pub(super) now: Arc<T>,
    pub(super) events: Vec<u64>,
}

/// Shares the subject, whatever it is.
impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { now: Arc::clone(&self.now), events: self.events.clone() }
    }
}

/// The newest committed state of all of them.
#[derive(Clone, Default)]
pub(super) struct Shelves {
    pub(super) customers: BTreeMap<CustomerId, Kept<Customer>>,
    pub(super) parcels: BTreeMap<ParcelId, Kept<Parcel>>,
    /// The parcels by the place of their first event.
    pub(super) parcels_by_age: BTreeMap<u64, ParcelId>,
    pub(super) records: BTreeMap<RecordId, Kept<Record>>,
}

impl State {
    pub(super) fn apply_customer(&mut self, id: &CustomerId, events: Vec<Event>, cause: Option<u32>, now: Timestamp) {
        for event in events {
            let present = self.shelves.customers.remove(id);
            let (before, mut places) =
                present.map_or_else(Default::default, |kept| (Some(Arc::unwrap_or_clone(kept.now)), kept.events));
            // Only a decision to put comes without a customer.
            let Some(customer) = Customer::after(before, &event) else { return };
            places.push(self.record(Subject::Customer(id.clone()), customer.version, cause, now, event));
            self.shelves.customers.insert(id.clone(), Kept { now: Arc::new(customer), events: places });
        }
    }

    pub(super) fn apply_parcel(&mut self, id: &ParcelId, events: Vec<Event>, cause: Option<u32>, now: Timestamp) {
        for event in events {
            let kept = match self.shelves.parcels.remove(id) {
                Some(mut kept) => {
                    Arc::make_mut(&mut kept.now).evolve(&event, now);
                    Some(kept)
                }
                None => Parcel::begin(id.clone(), &event, now)
                    .map(|parcel| Kept { now: Arc::new(parcel), events: Vec::new() }),
            };
            // A parcel that was never seen begins with its first report, and no other decision is made about it.
            let Some(mut kept) = kept else { return };
            let place = self.record(Subject::Parcel(id.clone()), kept.now.version, cause, now, event);
            if kept.events.is_empty() {
                self.shelves.parcels_by_age.insert(place, id.clone());
            }
            kept.events.push(place);
            self.shelves.parcels.insert(id.clone(), kept);
            self.news.parcels.push(id.clone());
        }
    }

    pub(super) fn apply_record(&mut self, id: RecordId, events: Vec<Event>, cause: Option<u32>, now: Timestamp) {
        for event in events {
            let kept = match self.shelves.records.remove(&id) {
                Some(mut kept) => {
                    Arc::make_mut(&mut kept.now).evolve(&event, now);
                    Some(kept)
                }
                None => {
                    Record::fold(id, [(&event, now)]).map(|record| Kept { now: Arc::new(record), events: Vec::new() })
                }
            };
            // What is stored was taken before.
            let Some(mut kept) = kept else { return };
            kept.events.push(self.record(Subject::Record(id), kept.now.version, cause, now, event));
            self.shelves.records.insert(id, kept);
        }
    }

    pub(super) fn customer_outcome(&self, id: &CustomerId) -> OutcomeSubject {
        let kept = self.shelves.customers.get(id);
        kept.map_or(OutcomeSubject::Nothing, |kept| OutcomeSubject::Customer(Arc::clone(&kept.now)))
    }

    pub(super) fn parcel_outcome(&self, id: &ParcelId, verdict: Option<Verdict>) -> OutcomeSubject {
        match (self.shelves.parcels.get(id), verdict) {
            (Some(kept), Some(verdict)) => OutcomeSubject::Parcel { parcel: Arc::clone(&kept.now), verdict },
            _ => OutcomeSubject::Nothing,
        }
    }

    pub(super) fn record_outcome(&self, id: RecordId) -> OutcomeSubject {
        let kept = self.shelves.records.get(&id);
        kept.map_or(OutcomeSubject::Nothing, |kept| OutcomeSubject::Record(Arc::clone(&kept.now)))
    }

    /// Adds an event to the log, tells whom it concerns, and gives its place.
    pub(super) fn record(
        &mut self,
        subject: Subject,
        version: u32,
        cause: Option<u32>,
        at: Timestamp,
        event: Event,
    ) -> u64 {
        self.news.add(&self.log, event.kind());
        self.log.push(Recorded { subject, version, at, cause, event })
    }
}
