//! One file per type and version of event, with everything in it filled in. What lies there is read for ever: a file may be added, but
//! one that is released must not change. `UPDATE_GOLDEN=1 cargo test -p ordermill-core golden` writes them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use ordermill_core::customer::Customer;
use ordermill_core::event::{
    Archived, AttentionCleared, AttentionRaised, Authorized, Cancelled, Done, Empty, Event, EventError, EventType,
    MailNotSent, MailSent, Overdue, ParcelMove, Placement, RecordReceived, Refused, RefusedReport, Rejected, Remedy,
    Report, Requested, Reserved, Returned, ReturnedLine, Short, Shortage, StockAdjustedBy, StockSetTo, Unknown,
};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::mail::{Email, MailKind};
use ordermill_core::money::{Currency, Money};
use ordermill_core::order::{Line, RejectReason, Status};
use ordermill_core::parcel::{ParcelStatus, ReportRefusal};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind};
use ordermill_core::process::Step;
use ordermill_core::product::Product;
use ordermill_core::record::Stored;
use serde_json::{Value, json};

use crate::support::{customer, operation, product, start};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/events")
}

fn file_name(name: &str, version: u16) -> String {
    format!("{name}.v{version}.json")
}

/// An event of this type in which no field is left out.
fn full(kind: EventType) -> Event {
    use EventType as T;
    let refused = |kind, reason| Refused { operation: operation(kind, 1), attempt: 2, reason };
    let done = |kind| Done { operation: operation(kind, 1), attempt: 2, amount_minor: 2000 };
    let requested =
        |operation, reason: Option<&str>| Requested { operation, amount_minor: 500, reason: reason.map(Into::into) };
    let refund_2 = OperationId { kind: OperationKind::Refund, number: 2 };
    match kind {
        T::OrderPlaced => Event::OrderPlaced(Arc::new(placement())),
        T::PaymentAuthorized => Event::PaymentAuthorized(Authorized {
            operation: operation(OperationKind::Authorize, 1),
            attempt: 1,
            amount_minor: 2000,
            provider_ref: "psp-1".parse().expect("a valid reference"),
        }),
        T::PaymentDeclined => {
            Event::PaymentDeclined(refused(OperationKind::Authorize, DeclineReason::InsufficientFunds))
        }
        T::PaymentUnknown => {
            Event::PaymentUnknown(Unknown { operation: operation(OperationKind::Capture, 1), attempt: 1 })
        }
        T::InventoryReserved => Event::InventoryReserved(Reserved { expires_at: start() }),
        T::InventoryRejected => {
            Event::InventoryRejected(Short { short: vec![Shortage { product_id: product("tea"), missing: 3 }] })
        }
        T::InventoryExpired => Event::InventoryExpired(Empty {}),
        T::InventoryReleased => Event::InventoryReleased(Empty {}),
        T::PaymentCaptured => Event::PaymentCaptured(done(OperationKind::Capture)),
        T::PaymentCaptureFailed => {
            Event::PaymentCaptureFailed(refused(OperationKind::Capture, DeclineReason::Declined))
        }
        T::PaymentVoidRequested => Event::PaymentVoidRequested(requested(operation(OperationKind::Void, 1), None)),
        T::PaymentVoided => Event::PaymentVoided(done(OperationKind::Void)),
        T::PaymentVoidFailed => Event::PaymentVoidFailed(refused(OperationKind::Void, DeclineReason::Invalid)),
        T::PaymentExpired => Event::PaymentExpired(done(OperationKind::Void)),
        T::PaymentRefundRequested => Event::PaymentRefundRequested(requested(refund_2, Some("arrived broken"))),
        T::PaymentRefunded => Event::PaymentRefunded(done(OperationKind::Refund)),
        T::PaymentRefundFailed => Event::PaymentRefundFailed(refused(OperationKind::Refund, DeclineReason::NotFound)),
        other => full_of_order(other),
    }
}

fn full_of_order(kind: EventType) -> Event {
    use EventType as T;
    let mail_not_sent =
        || MailNotSent { template: MailKind::Rejected, version: 2, reason: "the mailbox is full".into() };
    match kind {
        T::OrderConfirmed => Event::OrderConfirmed(Empty {}),
        T::OrderRejected => Event::OrderRejected(Rejected { reason: RejectReason::OutOfStock }),
        T::OrderCancelled => Event::OrderCancelled(Cancelled { reason: "ordered twice".into() }),
        T::ParcelMoved => Event::ParcelMoved(ParcelMove { status: ParcelStatus::OutForDelivery, seen_at: start() }),
        T::OrderShipped => Event::OrderShipped(Empty {}),
        T::OrderDelivered => Event::OrderDelivered(Empty {}),
        T::OrderReturned => Event::OrderReturned(Returned {
            lines: vec![ReturnedLine { product_id: product("tea"), quantity: 1 }],
            restocked: true,
            complete: true,
        }),
        T::NotificationSent => Event::NotificationSent(MailSent {
            template: MailKind::DeliveryIssue,
            version: 2,
            mailbox_end: Some(123_456),
        }),
        T::NotificationSkipped => Event::NotificationSkipped(mail_not_sent()),
        T::NotificationFailed => Event::NotificationFailed(mail_not_sent()),
        T::OrderArchived => Event::OrderArchived(Archived { version: 7 }),
        T::OrderAttention => Event::OrderAttention(AttentionRaised { step: Step::Void, reason: "declined".into() }),
        T::OrderAttentionCleared => Event::OrderAttentionCleared(AttentionCleared {
            remedy: Remedy::Retried,
            note: Some("the provider is back".into()),
        }),
        T::OrderOverdue => Event::OrderOverdue(Overdue { status: Status::Confirmed, since: start() }),
        T::ProductPut => Event::ProductPut(Product {
            id: product("tea"),
            name: "Green tea".into(),
            price: Money { amount_minor: 1000, currency: Currency::EUR },
            description: Some("First flush.\nLoose leaves.".into()),
            active: true,
            // Left out where it is not so, as in all that was written before there was such a field.
            deleted: false,
            version: 3,
        }),
        T::StockSet => Event::StockSet(StockSetTo { from: 4, to: 10 }),
        T::StockAdjusted => Event::StockAdjusted(StockAdjustedBy { delta: -3, reason: "counted".into() }),
        T::ProductDeleted => Event::ProductDeleted(Empty {}),
        other => full_of_rest(other),
    }
}

fn full_of_rest(kind: EventType) -> Event {
    use EventType as T;
    let correlation_id = || Some("request-17".parse().expect("a valid id"));
    let report = |status| Report {
        status,
        seen_at: "2026-01-31T11:59:59.123456Z".parse().expect("an instant"),
        correlation_id: correlation_id(),
    };
    match kind {
        T::CustomerPut => Event::CustomerPut(Customer {
            id: customer("household-900"),
            name: "Ada Lovelace".into(),
            email: Some(Email::new("household-900@example.com").expect("a valid address")),
            address: Some(json!({"street": "Hauptstraße 1", "city": "Berlin"})),
            metadata: Some(json!({"newsletter": false, "score": 2.5})),
            deleted: false,
            version: 2,
        }),
        T::CustomerDeleted => Event::CustomerDeleted(Empty {}),
        T::TrackingMoved => Event::TrackingMoved(report(ParcelStatus::PickedUp)),
        T::TrackingLate => Event::TrackingLate(report(ParcelStatus::OutForDelivery)),
        T::TrackingRefused => Event::TrackingRefused(RefusedReport {
            status: ParcelStatus::Delivered,
            seen_at: start(),
            reason: ReportRefusal::AlreadyDelivered,
            correlation_id: correlation_id(),
        }),
        T::RecordReceived => Event::RecordReceived(Arc::new(RecordReceived {
            data: json!({"email_subject": "Grüße", "parts": [1, null, {"deep": true}]}),
            occurred_at: Some(start()),
            correlation_id: correlation_id(),
        })),
        T::RecordStored => {
            Event::RecordStored(Stored { key: "processed/2026/01/31/12/rec_1.json".into(), attempts: 2 })
        }
        other => panic!("{} has no example: add it here, then run with UPDATE_GOLDEN=1", other.name()),
    }
}

fn placement() -> Placement {
    Placement {
        order_ref: Some("2026-0001".parse().expect("a valid reference")),
        customer_id: "household-900".parse().expect("a valid customer id"),
        customer_email: Some(Email::new("household-900@example.com").expect("a valid address")),
        payment_method: "ok".parse().expect("a valid payment method"),
        shipping_address: Some(json!({"street": "Hauptstraße 1", "city": "Berlin"})),
        lines: vec![
            Line { product_id: product("tea"), quantity: 2, unit_price_minor: 1000 },
            Line { product_id: product("\"Tässchen\""), quantity: 1, unit_price_minor: 0 },
        ],
        total: Money { amount_minor: 2000, currency: Currency::EUR },
        placed_at: Some(start()),
        metadata: Some(json!({"gift": true, "shelf": [1, 2.5, null]})),
        correlation_id: Some("request-17".parse().expect("a valid id")),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        fingerprint: Fingerprint([0xab; 16]),
    }
}

fn path_of(kind: EventType) -> PathBuf {
    folder().join(file_name(kind.name(), kind.version()))
}

fn text_of(event: &Event) -> String {
    let data: Value = serde_json::from_str(&event.data()).expect("event data is JSON");
    format!("{}\n", serde_json::to_string_pretty(&data).expect("a JSON value is text"))
}

/// Writes the files where that is asked for, before any test reads them.
fn update_where_asked() {
    static UPDATED: Once = Once::new();
    UPDATED.call_once(|| {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            for &kind in EventType::ALL {
                fs::write(path_of(kind), text_of(&full(kind))).expect("golden files can be written");
            }
        }
    });
}

#[test]
fn every_type_has_its_golden_file() {
    update_where_asked();
    for &kind in EventType::ALL {
        let event = full(kind);
        assert_eq!(event.kind(), kind);
        let (path, text) = (path_of(kind), text_of(&event));
        let golden = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; a new type or version needs a file: run with UPDATE_GOLDEN=1", path.display())
        });
        assert_eq!(golden, text, "{} is not what this program writes; raise the version instead", path.display());
    }
}

/// Every file, those of earlier versions as well, is read; what this program's own version holds is written back the same.
#[test]
fn every_golden_file_is_read_and_written_back() {
    update_where_asked();
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(folder()).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let (kind, version) = name
            .strip_suffix(".json")
            .and_then(|stem| stem.rsplit_once(".v"))
            .unwrap_or_else(|| panic!("{name} is not <type>.v<version>.json"));
        let version: u16 = version.parse().expect("a version is a number");
        let data = fs::read(&path).expect("the file can be read");
        let event = Event::from_parts(kind, version, &data).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.kind(), EventType::from_name(kind).expect("a known type"));
        if version == event.kind().version() {
            let read: Value = serde_json::from_slice(&data).expect("the file is JSON");
            let written: Value = serde_json::from_str(&event.data()).expect("event data is JSON");
            assert_eq!(read, written, "{name}");
        }
        assert!(seen.insert((kind.to_owned(), version)));
    }
    for kind in EventType::ALL {
        for version in 1..=kind.version() {
            assert!(seen.contains(&(kind.name().to_owned(), version)), "{}", file_name(kind.name(), version));
        }
    }
}

/// What is optional may be missing, in all that was written before the field was there.
#[test]
fn optional_fields_may_be_missing() {
    update_where_asked();
    let golden = fs::read(folder().join(file_name("order.placed", 1))).expect("the file can be read");
    let mut data: Value = serde_json::from_slice(&golden).expect("the file is JSON");
    let fields = data.as_object_mut().expect("an object");
    for optional in ["order_ref", "customer_email", "shipping_address", "placed_at", "metadata", "correlation_id"] {
        assert!(fields.remove(optional).is_some(), "{optional} is not filled in");
    }
    fields.remove("traceparent");
    let bytes = data.to_string().into_bytes();
    let event = Event::from_parts("order.placed", 1, &bytes).expect("optional fields may be missing");
    assert_eq!(serde_json::from_str::<Value>(&event.data()).expect("JSON"), data, "and none is made up");
}

/// The same for every later type: each of these fields is left out by callers who have nothing to say there.
#[test]
fn optional_fields_of_other_types_may_be_missing() {
    update_where_asked();
    for (kind, optional) in [
        ("customer.put", &["email", "address", "metadata"][..]),
        ("tracking.moved", &["correlation_id"]),
        ("tracking.late", &["correlation_id"]),
        ("tracking.refused", &["correlation_id"]),
        ("record.received", &["occurred_at", "correlation_id"]),
        ("product.put", &["description"]),
    ] {
        let golden = fs::read(folder().join(file_name(kind, 1))).expect("the file can be read");
        let mut data: Value = serde_json::from_slice(&golden).expect("the file is JSON");
        let fields = data.as_object_mut().expect("an object");
        assert!(optional.iter().all(|field| fields.remove(*field).is_some()), "{kind} has all of {optional:?}");
        let event = Event::from_parts(kind, 1, data.to_string().as_bytes()).expect("optional fields may be missing");
        assert_eq!(serde_json::from_str::<Value>(&event.data()).expect("JSON"), data, "and none is made up");
    }
}

#[test]
fn what_a_newer_program_wrote_is_named() {
    let newer = Event::from_parts("order.placed", 2, b"{}");
    assert!(matches!(newer, Err(EventError::Unknown { version: 2, .. })), "{newer:?}");
    let unheard = Event::from_parts("order.painted", 1, b"{}");
    assert!(matches!(unheard, Err(EventError::Unknown { .. })), "{unheard:?}");
    let misshapen = Event::from_parts("payment.captured", 1, b"{\"operation\":\"capture\"}");
    assert!(matches!(misshapen, Err(EventError::Data { kind: "payment.captured", .. })), "{misshapen:?}");
}
