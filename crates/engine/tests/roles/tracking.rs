use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;
use ordermill_core::Timestamp;
use ordermill_core::event::{Event, EventType};
use ordermill_core::id::OrderId;
use ordermill_core::input::{Body, Input, ParcelReport};
use ordermill_core::order::Status;
use ordermill_core::parcel::ParcelStatus::{self, Delivered, DeliveryIssue, OutForDelivery, PickedUp};
use ordermill_core::policy::Policy;
use ordermill_core::process::{Role, Step};
use ordermill_ports::payments::PaymentError;
use ordermill_ports::{Ledger, Queries, Source, Submission};

use crate::gateways::{Provider, yes};
use crate::world::World;

/// The way of a parcel that has it all.
const TO_AND_FRO: [(ParcelStatus, i64); 6] =
    [(PickedUp, 1), (OutForDelivery, 2), (DeliveryIssue, 3), (OutForDelivery, 4), (DeliveryIssue, 5), (Delivered, 6)];

fn seen_at(second: i64) -> Timestamp {
    let begin: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    begin + SignedDuration::from_secs(second)
}

fn report(parcel: &str, status: ParcelStatus, second: i64) -> Submission {
    let report =
        ParcelReport { parcel_id: parcel.parse().unwrap(), status, seen_at: seen_at(second), correlation_id: None };
    Submission::new(Input::new(Body::Track(report)))
}

impl World {
    /// The carrier's reports of one parcel, in one request.
    pub async fn track(&self, parcel: &str, reports: &[(ParcelStatus, i64)]) {
        let reports = reports.iter().map(|(status, second)| report(parcel, *status, *second)).collect();
        for result in self.memory.submit(Source::Live, reports).await {
            result.unwrap();
        }
    }

    /// Where the order saw its parcel, and when.
    async fn moves(&self, id: OrderId) -> Vec<(ParcelStatus, i64)> {
        let events = self.memory.order_events(id, 0).await.unwrap();
        let moves = events.iter().filter_map(|event| match &event.recorded.event {
            Event::ParcelMoved(data) => Some((data.status, data.seen_at.duration_since(seen_at(0)).as_secs())),
            _ => None,
        });
        moves.collect()
    }

    async fn confirmed(&self, order_ref: Option<&str>) -> OrderId {
        let id = self.place_as("ok", Some("c@example.com"), order_ref).await;
        self.wait_for_status(id, Status::Confirmed).await;
        id
    }

    async fn wait_for_moves(&self, id: OrderId, count: usize) {
        let all_there = |order: &ordermill_core::order::Order| order.version as usize > count;
        self.wait_for(id, all_there).await;
        while self.moves(id).await.len() < count {
            self.wait_until_done(Role::Tracking).await;
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn an_order_goes_the_way_of_its_parcel_and_the_customer_hears_of_it() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.confirmed(None).await;
    world.track(&id.to_string(), &[(PickedUp, 1)]).await;
    let order = world.wait_for_status(id, Status::Shipped).await;
    assert_eq!((order.parcel, &order.attention), (Some(PickedUp), &None));
    world.track(&id.to_string(), &[(DeliveryIssue, 2), (Delivered, 3)]).await;
    world.wait_for_status(id, Status::Delivered).await;
    assert_eq!(world.moves(id).await, [(PickedUp, 1), (DeliveryIssue, 2), (Delivered, 3)]);
    world.wait_for(id, |order| order.due_mails().next().is_none()).await;
    assert_eq!(world.postbox.mails.lock().len(), 4, "confirmed, shipped, delivery issue, delivered");
    world.stop().await;
}

#[tokio::test]
async fn a_carrier_may_call_the_order_by_its_reference() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.confirmed(Some("SHOP-1")).await;
    world.track("SHOP-1", &TO_AND_FRO).await;
    world.wait_for_status(id, Status::Delivered).await;
    assert_eq!(world.moves(id).await, TO_AND_FRO);
    world.stop().await;
}

/// A reference that looks like an id of ours is a reference all the same.
#[tokio::test]
async fn a_reference_in_the_form_of_an_id_is_found() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let reference = OrderId::from_bytes([0xee; 16]).to_string();
    let id = world.confirmed(Some(&reference)).await;
    world.track(&reference, &[(PickedUp, 1)]).await;
    world.wait_for_status(id, Status::Shipped).await;
    world.stop().await;
}

#[tokio::test]
async fn an_order_placed_after_its_first_reports_catches_up_with_the_next() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    world.track("SHOP-2", &TO_AND_FRO[..2]).await;
    world.track("nobody", &[(Delivered, 1)]).await;
    world.wait_until_done(Role::Tracking).await;
    let id = world.confirmed(Some("SHOP-2")).await;
    assert_eq!(world.moves(id).await, []);
    world.track("SHOP-2", &TO_AND_FRO[2..3]).await;
    world.wait_for_moves(id, 3).await;
    assert_eq!(world.moves(id).await, TO_AND_FRO[..3]);
    assert_eq!(world.order(id).await.status, Status::Shipped);
    world.stop().await;
}

#[tokio::test]
async fn late_refused_and_repeated_reports_move_no_order() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.confirmed(Some("SHOP-3")).await;
    let reports = [
        (OutForDelivery, 10),
        (OutForDelivery, 10),
        (PickedUp, 5),
        (OutForDelivery, 11),
        (Delivered, 12),
        (DeliveryIssue, 13),
        (Delivered, 12),
        (OutForDelivery, 10),
    ];
    for one in reports {
        world.track("SHOP-3", &[one]).await;
    }
    world.wait_for_status(id, Status::Delivered).await;
    world.wait_until_done(Role::Tracking).await;
    assert_eq!(world.moves(id).await, [(OutForDelivery, 10), (Delivered, 12)]);
    let parcel = world.memory.parcel(&"SHOP-3".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!((parcel.sightings.len(), parcel.refused), (3, 2));
    world.stop().await;
}

#[tokio::test]
async fn deliveries_doubled_and_reversed_give_every_move_once() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let orders = [world.place_as("ok", None, Some("A")).await, world.place_as("ok", None, Some("B")).await];
    let id_of_b = orders[1].to_string();
    for one in TO_AND_FRO {
        world.track("A", &[one]).await;
        world.track(&id_of_b, &[one]).await;
    }
    world.start_shuffled();
    for id in orders {
        world.wait_for_status(id, Status::Delivered).await;
        world.wait_until_done(Role::Tracking).await;
        assert_eq!(world.moves(id).await, TO_AND_FRO);
        assert_eq!(world.count(id, EventType::OrderShipped).await, 1);
        assert_eq!(world.count(id, EventType::OrderDelivered).await, 1);
    }
    world.stop().await;
}

/// The carrier calls the order by both of its names; the same reports come under each.
#[tokio::test]
async fn two_parcels_of_one_order_do_not_double_its_moves() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let id = world.place_as("ok", None, Some("BOTH")).await;
    world.track("BOTH", &TO_AND_FRO).await;
    world.track(&id.to_string(), &TO_AND_FRO).await;
    world.start(World::settings());
    world.wait_for_status(id, Status::Delivered).await;
    world.wait_until_done(Role::Tracking).await;
    assert_eq!(world.moves(id).await, TO_AND_FRO);
    world.stop().await;
}

#[tokio::test]
async fn a_parcel_of_a_cancelled_order_is_recorded_and_asks_for_a_person() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.confirmed(None).await;
    world.submit(Body::Cancel { order_id: id, reason: "changed my mind".into() }).await;
    world.wait_for(id, |order| order.payment.kept() == 0).await;
    world.track(&id.to_string(), &[(PickedUp, 1), (OutForDelivery, 2)]).await;
    let order = world.wait_for(id, |order| order.parcel == Some(OutForDelivery)).await;
    assert_eq!(order.status, Status::Cancelled);
    assert_eq!(order.attention.as_ref().map(|attention| attention.step), Some(Step::Track));
    assert_eq!(world.count(id, EventType::OrderAttention).await, 1);
    world.stop().await;
}

#[tokio::test]
async fn an_order_confirmed_after_its_parcel_was_seen_is_shipped_then() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&open);
    let answer = move |_: &_, _| if gate.load(Ordering::SeqCst) { Ok(yes()) } else { Err(PaymentError::BreakerOpen) };
    let world = World::with(Provider::new(answer), Policy::default()).await;
    let id = world.place("ok").await;
    world.track(&id.to_string(), &[(PickedUp, 1)]).await;
    let order = world.wait_for(id, |order| order.parcel == Some(PickedUp)).await;
    assert_eq!(order.status, Status::Placed);
    assert_eq!(order.attention.as_ref().map(|attention| attention.step), Some(Step::Track));
    open.store(true, Ordering::SeqCst);
    world.wait_for_status(id, Status::Shipped).await;
    world.track(&id.to_string(), &[(OutForDelivery, 2), (Delivered, 3)]).await;
    world.wait_for_status(id, Status::Delivered).await;
    assert_eq!(world.moves(id).await, [(PickedUp, 1), (OutForDelivery, 2), (Delivered, 3)]);
    world.stop().await;
}

#[tokio::test]
async fn moves_whose_commit_failed_come_again_and_count_once() {
    let world = World::with(Provider::willing(), Policy::default()).await;
    let id = world.confirmed(None).await;
    world.ledger.move_failures.store(2, Ordering::SeqCst);
    world.track(&id.to_string(), &TO_AND_FRO).await;
    world.wait_for_status(id, Status::Delivered).await;
    assert_eq!(world.ledger.move_failures.load(Ordering::SeqCst), 0);
    assert_eq!(world.moves(id).await, TO_AND_FRO);
    world.stop().await;
}

/// More deliveries than fit into one batch, of parcels known and unknown, some of them with many reports.
#[tokio::test]
async fn a_backlog_of_many_parcels_is_worked_off() {
    let mut world = World::idle(Provider::willing(), Policy::default()).await;
    let id = world.place_as("ok", None, Some("one-of-many")).await;
    let unknown: Vec<Submission> = (0..2_500).map(|number| report(&format!("p-{number}"), PickedUp, 1)).collect();
    for part in unknown.chunks(1_000) {
        world.memory.submit(Source::Import, part.to_vec()).await;
    }
    let to_and_fro = |second: i64| if second % 2 == 0 { (OutForDelivery, second) } else { (DeliveryIssue, second) };
    let many: Vec<_> = (0..900).map(to_and_fro).collect();
    world.track("one-of-many", &many).await;
    world.start(World::settings());
    world.wait_until_done(Role::Tracking).await;
    assert_eq!(world.moves(id).await, many);
    world.stop().await;
}
