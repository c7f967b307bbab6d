//! The channels: the event path as the systems that Ordermill replaces knew it, by name. A channel is a view of the feed, what is on it
//! follows from the types of the events; where a broker carries the events, its topics are these.
//!
//! Pure, so that every place that shows or relays a channel has the same names, keys and values.

use serde::{Serialize, Serializer};

use crate::Timestamp;
use crate::event::{Event, EventType as E, Recorded, Subject};
use crate::id::ParcelId;
use crate::parcel::ParcelStatus;
use crate::process::{self, Role};

/// One channel.
#[derive(Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name on every interface and broker.
    pub name: &'static str,
    /// The name under which lies what its readers here gave up.
    pub dead_letters: &'static str,
    /// The types of event on it.
    pub event_types: &'static [E],
    /// Whether roles read it. A second channel with the same events is for readers outside.
    pub is_internal: bool,
}

/// Every channel.
#[rustfmt::skip]
pub const TABLE: &[Channel] = &[
    Channel { name: "order_queue", dead_letters: "order_queue_dead_letter", is_internal: true,
              event_types: &[E::OrderPlaced] },
    Channel { name: "payment_status_topic", dead_letters: "payment_status_topic_dead_letter", is_internal: true,
              event_types: &[E::PaymentAuthorized, E::PaymentDeclined, E::PaymentUnknown, E::PaymentCaptured, E::PaymentCaptureFailed,
                             E::PaymentVoidRequested, E::PaymentVoided, E::PaymentVoidFailed, E::PaymentExpired,
                             E::PaymentRefundRequested, E::PaymentRefunded, E::PaymentRefundFailed] },
    Channel { name: "inventory_status_topic", dead_letters: "inventory_status_topic_dead_letter", is_internal: true,
              event_types: &[E::InventoryReserved, E::InventoryRejected, E::InventoryExpired, E::InventoryReleased] },
    Channel { name: "order-tracking.events", dead_letters: "order-tracking.events.dlt", is_internal: true,
              event_types: &[E::TrackingMoved, E::TrackingLate] },
    Channel { name: "records", dead_letters: "records_dead_letter", is_internal: true,
              event_types: &[E::RecordReceived] },
    Channel { name: "order_publisher", dead_letters: "order_publisher_dead_letter", is_internal: false,
              event_types: &[E::OrderPlaced] },
    Channel { name: "order_status_topic", dead_letters: "order_status_topic_dead_letter", is_internal: true,
              event_types: &[E::OrderConfirmed, E::OrderRejected, E::OrderCancelled, E::ParcelMoved, E::OrderShipped, E::OrderDelivered,
                             E::OrderReturned, E::NotificationSent, E::NotificationSkipped, E::NotificationFailed, E::OrderArchived,
                             E::OrderAttention, E::OrderAttentionCleared, E::OrderOverdue] },
];

/// The types of event that are on some channel: what a broker is told of.
#[must_use]
pub fn relayed() -> Vec<E> {
    E::ALL.iter().copied().filter(|kind| TABLE.iter().any(|channel| channel.carries(*kind))).collect()
}

impl Channel {
    /// The channel of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|channel| channel.name == name)
    }

    /// The channel whose dead letters lie under this name.
    #[must_use]
    pub fn find_by_dead_letters(name: &str) -> Option<&'static Self> {
        TABLE.iter().find(|channel| channel.dead_letters == name)
    }

    /// Whether events of this type are on it.
    #[must_use]
    pub fn carries(&self, kind: E) -> bool {
        self.event_types.contains(&kind)
    }

    /// Whether a delivery of an event of this type to this role is one of its messages. The relay's are: a broker's readers wait for them.
    #[must_use]
    pub fn delivers(&self, role: Role, kind: E) -> bool {
        self.carries(kind) && (role == Role::Relay || self.consumers().any(|consumer| consumer == role))
    }

    /// The roles that react to what is on it, by the table of the process.
    pub fn consumers(&self) -> impl Iterator<Item = Role> {
        let reacts = |role: Role| {
            let mut rows = process::TABLE.iter().filter(move |row| row.role == role);
            rows.any(|row| row.reacts_to.iter().any(|kind| self.carries(*kind)))
        };
        Role::ALL.into_iter().filter(move |role| self.is_internal && reacts(*role))
    }
}

/// The key of an event's message: messages with one key keep their order. It is the id of the subject, as its owner names it.
#[derive(Debug, Clone, Copy)]
pub struct MessageKey<'a>(pub &'a Subject);

impl std::fmt::Display for MessageKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Subject::Order(id) => id.fmt(f),
            Subject::Product(id) => id.fmt(f),
            Subject::Customer(id) => id.fmt(f),
            Subject::Parcel(id) => id.fmt(f),
            Subject::Record(id) => id.fmt(f),
        }
    }
}

impl Serialize for MessageKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The version of [`TrackingValue`]'s shape, which travels with it.
const TRACKING_SCHEMA: &str = "v1";

/// A message of `order-tracking.events`, as its readers have always known it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackingValue<'a> {
    /// What the carrier calls the order.
    pub order_id: &'a ParcelId,
    /// Where its parcel is, in the carrier's words.
    pub status: &'static str,
    /// When it was seen there.
    pub event_ts: Timestamp,
    /// Always `v1`.
    pub schema_version: &'static str,
}

impl<'a> TrackingValue<'a> {
    /// The message of an event; `None` for events of other channels. The one value for all who show or relay that channel.
    #[must_use]
    pub const fn of(recorded: &'a Recorded) -> Option<Self> {
        let (Subject::Parcel(order_id), Event::TrackingMoved(report) | Event::TrackingLate(report)) =
            (&recorded.subject, &recorded.event)
        else {
            return None;
        };
        let status = report.status.carrier_name();
        Some(Self { order_id, status, event_ts: report.seen_at, schema_version: TRACKING_SCHEMA })
    }
}

impl ParcelStatus {
    /// The name that carriers and the readers of `order-tracking.events` use.
    #[must_use]
    pub const fn carrier_name(self) -> &'static str {
        match self {
            Self::PickedUp => "PICKED_UP_AT_WAREHOUSE",
            Self::OutForDelivery => "OUT_FOR_DELIVERY",
            Self::DeliveryIssue => "DELIVERY_ISSUE",
            Self::Delivered => "DELIVERED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Report;

    #[test]
    fn names_are_unique_and_found() {
        let names: Vec<&str> = TABLE.iter().flat_map(|channel| [channel.name, channel.dead_letters]).collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        assert_eq!(Channel::find("order_queue").map(|channel| channel.name), Some("order_queue"));
        assert_eq!(
            Channel::find_by_dead_letters("order-tracking.events.dlt").map(|channel| channel.name),
            Some("order-tracking.events")
        );
        assert_eq!(Channel::find("order_queue_dead_letter"), None);
    }

    #[test]
    fn whole_families_of_events_are_on_their_channels() {
        for kind in E::ALL {
            let on = |name: &str| Channel::find(name).is_some_and(|channel| channel.carries(*kind));
            assert_eq!(on("payment_status_topic"), kind.name().starts_with("payment."), "{}", kind.name());
            assert_eq!(on("inventory_status_topic"), kind.name().starts_with("inventory."), "{}", kind.name());
        }
    }

    #[test]
    fn what_a_role_reacts_to_is_on_one_channel() {
        for role in Role::ALL {
            for kind in role.reacts_to() {
                let internal = TABLE.iter().filter(|channel| channel.is_internal && channel.carries(kind)).count();
                assert_eq!(internal, 1, "{} reacts to {}", role.as_str(), kind.name());
                assert!(relayed().contains(&kind));
            }
        }
        assert!(!relayed().contains(&E::StockSet), "no role and nobody outside asks for it");
        assert_eq!(Role::Relay.reacts_to(), [], "what it is told follows from the channels, where there is a broker");
    }

    #[test]
    fn consumers_are_those_who_react() {
        let of = |name: &str| Channel::find(name).expect("it is there").consumers().collect::<Vec<_>>();
        assert_eq!(of("order_queue"), [Role::Payments]);
        assert_eq!(of("order_publisher"), [], "it is read from outside");
        assert!(of("payment_status_topic").contains(&Role::Inventory));
        assert_eq!(of("order-tracking.events"), [Role::Tracking]);
        assert_eq!(of("records"), [Role::Records]);
        let delivers = |role| {
            let of_placed = TABLE.iter().filter(move |channel| channel.delivers(role, E::OrderPlaced));
            of_placed.map(|channel| channel.name).collect::<Vec<_>>()
        };
        assert_eq!(delivers(Role::Payments), ["order_queue"]);
        assert_eq!(
            delivers(Role::Relay),
            ["order_queue", "order_publisher"],
            "it hands them over for all who read them"
        );
    }

    #[test]
    fn a_tracking_message_is_as_it_always_was() {
        let subject = Subject::Parcel(ParcelId::new("ORD-1").expect("it is an id"));
        let seen_at = "2026-01-31T12:00:00Z".parse().expect("it is an instant");
        let report = Report { status: ParcelStatus::PickedUp, seen_at, correlation_id: None };
        let recorded = Recorded { subject, version: 1, at: seen_at, cause: None, event: Event::TrackingMoved(report) };
        let value = serde_json::to_value(TrackingValue::of(&recorded)).expect("it serializes");
        let expected = serde_json::json!({
            "orderId": "ORD-1", "status": "PICKED_UP_AT_WAREHOUSE", "eventTs": "2026-01-31T12:00:00Z", "schemaVersion": "v1",
        });
        assert_eq!(value, expected);
        assert_eq!(MessageKey(&recorded.subject).to_string(), "ORD-1");
    }
}
