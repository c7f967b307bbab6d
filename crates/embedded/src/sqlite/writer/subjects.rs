//! Customers, parcels and records of one commit: what a decision looks at, and what it changes.

use std::sync::Arc;

use ordermill_core::customer::Customer;
use ordermill_core::event::{Event, Subject};
use ordermill_core::id::{CustomerId, ParcelId, RecordId};
use ordermill_core::input::Body;
use ordermill_core::parcel::{Parcel, ParcelStatus};
use ordermill_core::record::Record;

use super::super::error::StoreError;
use super::super::keys::ROW_MAX;
use super::super::parcels::HeldParcel;
use super::super::read;
use super::super::trail::Trail;
use super::batch::Batch;

/// A customer that this commit looks at, perhaps changes.
#[derive(Debug)]
pub(super) struct StagedCustomer {
    pub(super) customer: Arc<Customer>,
    pub(super) changed: bool,
}

/// A parcel that this commit looks at, perhaps changes.
#[derive(Debug)]
pub(super) struct StagedParcel {
    pub(super) parcel: Arc<Parcel>,
    pub(super) trail: Trail,
    /// What its row says; `None` while it has none.
    pub(super) stored: Option<ParcelStatus>,
    /// Whether this commit sees it for the first time.
    pub(super) is_new: bool,
    pub(super) changed: bool,
}

impl StagedParcel {
    fn committed(held: HeldParcel, stored: Option<ParcelStatus>) -> Self {
        Self { parcel: held.parcel, trail: held.trail, stored, is_new: false, changed: false }
    }
}

/// A record that this commit looks at, perhaps changes.
#[derive(Debug)]
pub(super) struct StagedRecord {
    pub(super) record: Arc<Record>,
    pub(super) trail: Trail,
    /// Whether this commit takes it.
    pub(super) is_new: bool,
    pub(super) changed: bool,
}

impl Batch<'_, '_> {
    /// Brings in what the decision on an input that names no order may look at.
    pub(super) fn load_subject(&mut self, body: &Body) -> Result<(), StoreError> {
        match body {
            Body::Track(report) => self.load_parcel(&report.parcel_id),
            Body::PutCustomer(put) => self.load_customer(&put.customer_id),
            Body::DeleteCustomer { customer_id, .. } => self.load_customer(customer_id),
            Body::TakeRecord(take) => self.load_record(take.record_id),
            Body::RecordStored { record_id, .. } => self.load_record(*record_id),
            _ => Ok(()),
        }
    }

    fn load_customer(&mut self, id: &CustomerId) -> Result<(), StoreError> {
        if !self.overlay.customers_seen.contains_key(id) {
            let found = read::customer(self.conn, id)?;
            let staged = found.map(|customer| StagedCustomer { customer: Arc::new(customer), changed: false });
            self.overlay.customers_seen.insert(id.clone(), staged);
        }
        Ok(())
    }

    fn load_parcel(&mut self, id: &ParcelId) -> Result<(), StoreError> {
        if self.overlay.parcels.contains_key(id) {
            return Ok(());
        }
        let staged = match self.shared.parcels.with_stored(id) {
            Some((held, stored)) => Some(StagedParcel::committed(held, stored)),
            None => {
                let held = read::parcel(self.conn, &self.shared.types, &self.shared.parcels.rows(id), id)?;
                held.map(|held| {
                    let stored = Some(held.parcel.status);
                    StagedParcel::committed(held, stored)
                })
            }
        };
        self.overlay.parcels.insert(id.clone(), staged);
        Ok(())
    }

    pub(super) fn load_record(&mut self, id: RecordId) -> Result<(), StoreError> {
        if !self.overlay.records.contains_key(&id) {
            let held = read::record(self.conn, &self.shared.types, id)?;
            let staged =
                held.map(|held| StagedRecord { record: held.record, trail: held.trail, is_new: false, changed: false });
            self.overlay.records.insert(id, staged);
        }
        Ok(())
    }

    pub(super) fn stage_customer(
        &mut self,
        subject: &Subject,
        id: &CustomerId,
        events: Vec<Event>,
        cause: Option<u32>,
    ) {
        for event in events {
            let present = self.overlay.customer(id).map(|staged| (*staged.customer).clone());
            // Only what was put is ever deleted.
            let Some(customer) = Customer::after(present, &event) else { continue };
            self.append(subject, customer.version, cause, &event);
            let staged = StagedCustomer { customer: Arc::new(customer), changed: true };
            self.overlay.customers_seen.insert(id.clone(), Some(staged));
        }
    }

    pub(super) fn stage_parcel(
        &mut self,
        subject: &Subject,
        id: &ParcelId,
        events: Vec<Event>,
        cause: Option<u32>,
    ) -> Result<(), StoreError> {
        for event in events {
            let version = self.overlay.parcel(id).map_or(0, |staged| staged.parcel.version) + 1;
            self.append(subject, version, cause, &event);
            let (position, now) = (self.position, self.now);
            match self.overlay.parcels.get_mut(id) {
                Some(Some(staged)) => {
                    Arc::make_mut(&mut staged.parcel).evolve(&event, now);
                    staged.trail.push(position);
                    staged.changed = true;
                }
                Some(slot) => {
                    if i64::try_from(position).is_ok_and(|position| position > ROW_MAX) {
                        // Fails the commit: this takes a year of full load, and an index with wider places.
                        return Err(rusqlite::Error::IntegralValueOutOfRange(0, ROW_MAX).into());
                    }
                    // A parcel begins with a report that moves it; the core gives it no other first event.
                    *slot = Parcel::begin(id.clone(), &event, now).map(|parcel| {
                        let mut trail = Trail::default();
                        trail.push(position);
                        StagedParcel { parcel: Arc::new(parcel), trail, stored: None, is_new: true, changed: true }
                    });
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn stage_record(&mut self, subject: &Subject, id: RecordId, events: Vec<Event>, cause: Option<u32>) {
        for event in events {
            let version = self.overlay.record(id).map_or(0, |staged| staged.record.version) + 1;
            self.append(subject, version, cause, &event);
            let (position, now) = (self.position, self.now);
            match self.overlay.records.get_mut(&id) {
                Some(Some(staged)) => {
                    Arc::make_mut(&mut staged.record).evolve(&event, now);
                    staged.trail.push(position);
                    staged.changed = true;
                }
                Some(slot) => {
                    *slot = Record::fold(id, [(&event, now)]).map(|record| {
                        let mut trail = Trail::default();
                        trail.push(position);
                        StagedRecord { record: Arc::new(record), trail, is_new: true, changed: true }
                    });
                }
                None => {}
            }
        }
    }
}
