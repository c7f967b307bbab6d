//! Customers, parcels and records of the shop.

use ordermill_core::event::RecordReceived;
use ordermill_core::id::{CustomerId, ProductId, RecordId};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::input::{Body, Input, Key, ParcelReport, PutCustomer, TakeRecord};
use ordermill_core::parcel::ParcelStatus;
use ordermill_core::record::Stored;
use ordermill_engine::record_object::RecordObject;
use ordermill_ports::{Ledger, Queries, Source};
use serde_json::json;

use super::world::Shop;

/// The records of the shop: two lie together in one object, one alone, one is written and not yet committed, one is not written.
pub const FIRST: RecordId = RecordId::from_bytes([0x11; 16]);
pub const SECOND: RecordId = RecordId::from_bytes([0x12; 16]);
pub const ALONE: RecordId = RecordId::from_bytes([0x13; 16]);
pub const WRITTEN: RecordId = RecordId::from_bytes([0x14; 16]);
pub const QUEUED: RecordId = RecordId::from_bytes([0x15; 16]);

impl Shop {
    pub async fn put_customer(&self, id: &str, name: &str) {
        let put = PutCustomer {
            customer_id: CustomerId::new(id).unwrap(),
            name: name.into(),
            email: None,
            address: Some(json!({"city": "Ulm"})),
            metadata: None,
            expected_version: None,
        };
        self.submit(Body::PutCustomer(Box::new(put))).await;
    }

    /// A report of a parcel, seen so many seconds after 2026 began.
    pub async fn track(&self, id: &str, status: ParcelStatus, second: i64) {
        let begin: ordermill_core::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let seen_at = begin + jiff::SignedDuration::from_secs(second);
        let report = ParcelReport { parcel_id: id.parse().unwrap(), status, seen_at, correlation_id: None };
        self.submit(Body::Track(report)).await;
    }

    /// Takes a record, under a key of its own where there is one.
    pub async fn take(&self, record_id: RecordId, key: Option<&str>) {
        // A number that an inexact reader of JSON gives back as its neighbour.
        let data = json!({"email_content": format!("{record_id}\n"), "score": 0.300_000_000_000_000_04});
        let received = RecordReceived { data, occurred_at: None, correlation_id: None };
        let take = Body::TakeRecord(Box::new(TakeRecord { record_id, received }));
        let key = key.map(|key| Key { key: key.parse().unwrap(), fingerprint: Fingerprint([3; 16]) });
        self.ledger.submit_one(Source::Live, Input::new(take).with_key(key)).await.unwrap();
    }

    /// Writes the object of these records, and reports it for each.
    pub async fn store(&mut self, ids: &[RecordId], is_committed: bool) {
        let mut object = Vec::new();
        let mut key = None;
        for id in ids {
            let record = self.ledger.record(*id).await.unwrap().expect("the record was taken");
            object.extend(RecordObject::of(&record, 1));
            let name = if ids.len() == 1 { RecordObject::key } else { RecordObject::batch_key };
            key.get_or_insert_with(|| name(*id, record.received_at));
        }
        let key = key.unwrap();
        self.world.record_objects.insert(key.clone(), object);
        for record_id in ids.iter().copied().filter(|_| is_committed) {
            self.submit(Body::RecordStored { record_id, stored: Stored { key: key.as_str().into(), attempts: 1 } })
                .await;
        }
    }
}

/// Every fate that they can have.
pub async fn add_subjects(shop: &mut Shop) {
    shop.put_customer("c-1", "Ada").await;
    shop.put_customer("c-1", "Ada L.").await;
    shop.put_customer("c-2", "Bob").await;
    shop.submit(Body::DeleteCustomer { customer_id: "c-2".parse().unwrap(), expected_version: None }).await;
    shop.submit(Body::DeleteProduct { product_id: ProductId::new("voucher").unwrap(), expected_version: None }).await;
    shop.track("p-1", ParcelStatus::PickedUp, 10).await;
    shop.track("p-1", ParcelStatus::Delivered, 11).await;
    shop.track("p-1", ParcelStatus::DeliveryIssue, 12).await;
    shop.track("p-1", ParcelStatus::PickedUp, 5).await;
    shop.track("p-2", ParcelStatus::Delivered, 10).await;
    shop.take(FIRST, None).await;
    shop.take(SECOND, None).await;
    shop.take(ALONE, Some("key-record")).await;
    shop.take(WRITTEN, None).await;
    shop.take(QUEUED, None).await;
    shop.store(&[FIRST, SECOND], true).await;
    shop.store(&[ALONE], true).await;
    shop.store(&[WRITTEN], false).await;
}
