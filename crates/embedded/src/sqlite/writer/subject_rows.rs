//! Writes the rows of customers and records: each once, however often it changed in this commit.

use rusqlite::types::Null;

use super::super::error::StoreError;
use super::batch::Batch;
use super::rows::one_row;

impl Batch<'_, '_> {
    /// Writes customers, records, and parcels that are due.
    pub(super) fn write_subjects(&mut self) -> Result<(), StoreError> {
        self.write_parcels()?;
        self.write_customers()?;
        self.write_records()
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
