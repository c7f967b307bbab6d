//! Customers, parcels and records as the ledger of these tests keeps them, each held against the fold of all its events.

use std::collections::BTreeMap;

use ordermill_core::Timestamp;
use ordermill_core::customer::Customer;
use ordermill_core::event::{Event, Subject};
use ordermill_core::id::{CustomerId, ParcelId, RecordId};
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::record::Record;

/// Everything committed about them so far.
#[derive(Clone, Default)]
pub struct Kept {
    pub customers: BTreeMap<CustomerId, Customer>,
    pub parcels: BTreeMap<ParcelId, Parcel>,
    pub records: BTreeMap<RecordId, Record>,
    pub history: BTreeMap<Subject, Vec<(Event, Timestamp)>>,
}

impl Kept {
    /// Applies what was decided about one of them.
    pub fn apply(&mut self, subject: &Subject, events: &[Event], now: Timestamp) {
        let history = self.history.entry(subject.clone()).or_default();
        for event in events {
            assert_eq!(event.kind().subject_kind(), subject.kind(), "{event:?} is about another kind of thing");
            history.push((event.clone(), now));
        }
        let folding = history.iter().map(|(event, at)| (event, *at));
        let version = u32::try_from(history.len()).expect("few events");
        match subject {
            Subject::Customer(id) => {
                for event in events {
                    let customer = Customer::after(self.customers.remove(id), event).expect("put before all else");
                    self.customers.insert(id.clone(), customer);
                }
                let folded = folding.fold(None, |customer, (event, _)| Customer::after(customer, event));
                assert_eq!(folded.as_ref(), self.customers.get(id), "the customer is not the fold of their events");
                assert_eq!(folded.map_or(0, |customer| customer.version), version, "each event is a change");
            }
            Subject::Parcel(id) => {
                for event in events {
                    match self.parcels.get_mut(id) {
                        Some(parcel) => parcel.evolve(event, now),
                        None => {
                            let parcel = Parcel::begin(id.clone(), event, now).expect("a parcel begins with a move");
                            self.parcels.insert(id.clone(), parcel);
                        }
                    }
                }
                let folded = Parcel::fold(id.clone(), folding);
                assert_eq!(folded.as_ref(), self.parcels.get(id), "the parcel is not the fold of its events");
                folded.iter().for_each(check_parcel);
                assert_eq!(folded.map_or(0, |parcel| parcel.version), version);
            }
            Subject::Record(id) => {
                for event in events {
                    match self.records.get_mut(id) {
                        Some(record) => record.evolve(event, now),
                        None => {
                            let record = Record::fold(*id, [(event, now)]).expect("a record begins with its taking");
                            self.records.insert(*id, record);
                        }
                    }
                }
                let folded = Record::fold(*id, folding);
                assert_eq!(folded.as_ref(), self.records.get(id), "the record is not the fold of its events");
                assert_eq!(folded.map_or(0, |record| record.version), version);
            }
            Subject::Order(_) | Subject::Product(_) => panic!("{subject:?} is not kept here"),
        }
    }
}

/// What every parcel shows by itself: its sightings that are not late are a way through the carrier's states and end where it is.
fn check_parcel(parcel: &Parcel) {
    let mut at: Option<(ParcelStatus, Timestamp)> = None;
    for sighting in parcel.sightings.iter().filter(|sighting| !sighting.is_late) {
        assert!(sighting.status.may_follow(at.map(|(status, _)| status)), "it left the carrier's states: {parcel:?}");
        assert!(at.is_none_or(|(_, seen_at)| seen_at <= sighting.seen_at), "it went back in time: {parcel:?}");
        at = Some((sighting.status, sighting.seen_at));
    }
    assert_eq!(at, Some((parcel.status, parcel.seen_at)), "it is where it was seen last: {parcel:?}");
    let is_delivered = parcel.status == ParcelStatus::Delivered;
    assert_eq!(parcel.delivered_at, is_delivered.then_some(parcel.seen_at), "{parcel:?}");
    let kept = parcel.sightings.len() as u32 + parcel.refused;
    assert_eq!(parcel.version, kept, "each event is a sighting or a refused report: {parcel:?}");
}
