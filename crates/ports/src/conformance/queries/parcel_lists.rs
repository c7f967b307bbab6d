//! Parcels by name, in lists, and their events.

use ordermill_core::event::Subject;
use ordermill_core::parcel::{Parcel, ParcelStatus};

use crate::conformance::Harness;
use crate::conformance::shop::{Shop, parcel, report};
use crate::ledger::Submission;
use crate::queries::Position;
use ParcelStatus::{Delivered, DeliveryIssue, OutForDelivery, PickedUp};

const NUMBERS: usize = 12;

/// Where the parcel of this number ends up: in states by fours.
fn status_of(number: usize) -> ParcelStatus {
    ParcelStatus::ALL[number % 4]
}

/// Twelve parcels, first reported in the order of their numbers and moved on in the opposite one.
async fn busy_carrier(harness: &dyn Harness) -> Shop {
    let shop = Shop::open(harness).await;
    for number in 0..NUMBERS {
        shop.track(&format!("p-{number}"), PickedUp, 0).await;
        shop.take_record("between two parcels").await;
    }
    for number in (0..NUMBERS).rev() {
        let id = format!("p-{number}");
        let way: &[ParcelStatus] = match status_of(number) {
            PickedUp => &[],
            OutForDelivery => &[OutForDelivery],
            DeliveryIssue => &[DeliveryIssue],
            Delivered => &[OutForDelivery, Delivered],
        };
        for (minutes, status) in (1..).zip(way) {
            shop.track(&id, *status, minutes).await;
        }
        // Late and refused reports change no list.
        shop.track(&id, DeliveryIssue, -5).await;
        shop.track(&id, PickedUp, 60).await;
    }
    shop
}

fn names(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|number| format!("p-{number}")).collect()
}

/// What is not there is not there.
pub async fn an_unknown_parcel_is_none(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    shop.track("p-1", PickedUp, 0).await;
    let queries = &shop.backend.queries;
    assert_eq!(queries.parcel(&parcel("p-2")).await.expect("readable"), None);
    assert!(queries.parcel_events(&parcel("p-2"), 0).await.expect("readable").is_empty());
    let page = queries.list_parcels(&[Delivered], None, 10).await.expect("listable");
    assert!(page.entries.is_empty() && page.next.is_none());
}

/// Parcels are listed by their present state, those first reported last first, whatever happened to them since and whatever the
/// size of the pages.
pub async fn parcels_are_listed_newest_first(harness: &dyn Harness) {
    let shop = busy_carrier(harness).await;
    let cases: [&[ParcelStatus]; 6] =
        [&[], &[PickedUp], &[OutForDelivery], &[Delivered, DeliveryIssue], &ParcelStatus::ALL, &[Delivered]];
    for statuses in cases {
        let fits = |number: &usize| statuses.is_empty() || statuses.contains(&status_of(*number));
        let expected = names((0..NUMBERS).rev().filter(fits));
        for limit in [1, 2, 5, 6, 12, 50] {
            let listed = shop.list_parcels(statuses, limit).await;
            assert_eq!(listed.iter().map(|parcel| parcel.id.as_str()).collect::<Vec<_>>(), expected, "{statuses:?}");
        }
    }
    shop.audit().await;
}

/// A cursor stays where it is while parcels move and new ones come in: nothing is listed twice, and nothing is left out.
pub async fn pages_of_parcels_are_stable(harness: &dyn Harness) {
    let shop = busy_carrier(harness).await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = shop.backend.queries.list_parcels(&[], before, 5).await.expect("listable");
        seen.extend(page.entries.iter().map(|parcel| parcel.id.as_str().to_owned()));
        shop.track(&format!("new-{}", seen.len()), PickedUp, 0).await;
        // The next page begins behind this one, which moves in the meantime.
        shop.track(&seen[seen.len() - 1], DeliveryIssue, 90).await;
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, names((0..NUMBERS).rev()));
    let all = shop.backend.queries.list_parcels(&[], None, 15).await.expect("listable");
    assert_eq!((all.entries.len(), all.next), (15, None), "a page that ends with the last parcel has no next one");
}

/// A parcel that is listed by its state leaves that list when it moves, and is in the other.
pub async fn a_move_takes_a_parcel_to_another_list(harness: &dyn Harness) {
    let shop = Shop::open(harness).await;
    let way = [PickedUp, OutForDelivery, DeliveryIssue, OutForDelivery, Delivered];
    for (minutes, status) in (0..).zip(way) {
        shop.track("p-1", status, minutes).await;
        for listed in ParcelStatus::ALL {
            let parcels = shop.list_parcels(&[listed], 10).await;
            assert_eq!(parcels.len(), usize::from(listed == status), "{listed:?} while it is {status:?}");
        }
    }
    // Within one call, and beginning there.
    let reports =
        [PickedUp, DeliveryIssue].into_iter().zip(0..).map(|(status, minutes)| report("p-2", status, minutes));
    shop.submit(reports.map(Submission::new).collect()).await;
    assert_eq!(shop.list_parcels(&[PickedUp], 10).await.len(), 0);
    assert_eq!(shop.list_parcels(&[DeliveryIssue], 10).await.len(), 1);
}

/// A parcel's events are those of the feed, all of its own, oldest first, and begin behind the version asked for.
pub async fn a_parcels_events_are_those_of_the_feed(harness: &dyn Harness) {
    let shop = busy_carrier(harness).await;
    let feed = shop.feed(Position(0)).await;
    for number in 0..NUMBERS {
        let id = parcel(&format!("p-{number}"));
        let read = shop.backend.queries.parcel(&id).await.expect("readable").expect("it is there");
        let own = async |after| shop.backend.queries.parcel_events(&id, after).await.expect("events can be read");
        let all: Vec<_> = own(0).await.into_iter().map(|event| (event.position, event.recorded)).collect();
        let of_feed = feed.iter().filter(|(_, recorded)| recorded.subject == Subject::Parcel(id.clone()));
        assert!(all.iter().eq(of_feed));
        let folded = Parcel::fold(id.clone(), all.iter().map(|(_, recorded)| (&recorded.event, recorded.at)));
        assert_eq!(folded.as_ref(), Some(&*read));
        for after in 0..=read.version + 1 {
            let versions: Vec<u32> = own(after).await.iter().map(|event| event.recorded.version).collect();
            assert_eq!(versions, (after + 1..=read.version).collect::<Vec<_>>());
        }
    }
}
