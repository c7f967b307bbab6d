//! Writes the rows of customers, parcels and records: each once, however often it changed in this commit.

use rusqlite::types::Null;

use super::super::codec::{int, parcel_status_code};
use super::super::error::StoreError;
use super::batch::Batch;
use super::overlay::changed_parcels;
use super::rows::one_row;
use super::subjects::StagedParcel;

impl Batch<'_, '_> {
    /// Writes customers, parcels and records.
    pub(super) fn write_subjects(&mut self) -> Result<(), StoreError> {
        if !self.overlay.parcels.is_empty() {
            self.write_parcels()?;
        }
        self.write_customers()?;
        self.write_records()
    }

    /// In the order of their rows: neighbours are written to the same page.
    fn write_parcels(&mut self) -> Result<(), StoreError> {
        let mut changed: Vec<(i64, &StagedParcel)> =
            changed_parcels(&self.overlay).map(|staged| (int(staged.trail.first()), staged)).collect();
        changed.sort_unstable_by_key(|(first, _)| *first);
        for (first, staged) in changed {
            let (status, version) = (parcel_status_code(staged.parcel.status), staged.parcel.version);
            let trail = staged.trail.as_bytes();
            let written = match staged.before {
                None => self.sql.insert_parcel.execute((first, staged.parcel.id.as_str(), status, version, trail))?,
                Some(before) if before == staged.parcel.status => {
                    self.sql.extend_parcel.execute((first, version, trail))?
                }
                Some(_) => self.sql.update_parcel.execute((first, status, version, trail))?,
            };
            one_row(written)?;
        }
        Ok(())
    }

    fn write_customers(&mut self) -> Result<(), StoreError> {
        let changed = self.overlay.customers_seen.values().flatten().filter(|staged| staged.changed);
        for staged in changed {
            let customer = &*staged.customer;
            let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
            self.sql.put_customer.execute((
                customer.id.as_str(),
                &customer.name,
                customer.email.as_ref().map(|email| email.as_str()),
                json(&customer.address),
                json(&customer.metadata),
                customer.deleted,
                customer.version,
            ))?;
        }
        Ok(())
    }

    fn write_records(&mut self) -> Result<(), StoreError> {
        let changed = self.overlay.records.values().flatten().filter(|staged| staged.changed);
        for staged in changed {
            let record = &*staged.record;
            let (id, version, trail) = (record.id.as_bytes(), record.version, staged.trail.as_bytes());
            let written = match (&record.stored, staged.is_new) {
                (None, true) => self.sql.insert_record.execute((id, Null, Null, version, trail))?,
                (None, false) => self.sql.update_record.execute((id, Null, Null, version, trail))?,
                (Some(stored), is_new) => {
                    let row = (id, &stored.key, stored.attempts, version, trail);
                    if is_new { self.sql.insert_record.execute(row)? } else { self.sql.update_record.execute(row)? }
                }
            };
            one_row(written)?;
        }
        Ok(())
    }
}
