use std::time::Duration;

use ordermill_core::event::Subject;
use ordermill_core::id::OrderId;

use super::*;
use crate::bus::feed::About;

const ROLE: Role = Role::Payments;

const NONE: [u64; 0] = [];

/// An order placed, in a partition.
fn placed(partition: u8) -> Entry {
    let subject = Subject::Order(OrderId::from_bytes([partition; 16]));
    Entry {
        about: subject.into(),
        version: 1,
        kind: Some(EventType::OrderPlaced),
        at: Timestamp::UNIX_EPOCH,
        partition,
    }
}

/// A feed with orders placed in these partitions.
fn feed(partitions: &[u8]) -> Feed {
    let feed = Feed::default();
    assert!(feed.append(1, partitions.iter().map(|partition| placed(*partition))));
    feed
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// The payments role, with leases on these partitions from their beginning.
fn state(partitions: &[u8]) -> State {
    let mut state = State::new(ROLE, super::super::kinds(ROLE, false));
    for partition in partitions {
        take(&mut state, *partition, 1, 0);
    }
    state
}

/// Takes a lease, and finds nothing parked.
fn take(state: &mut State, partition: u8, token: i64, cursor: u64) {
    state.take(partition, token, cursor, later());
    let wants = state.begin_paging(Timestamp::UNIX_EPOCH, Instant::now());
    state.end_paging(&wants, Vec::new(), &[]);
}

fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|delivery| delivery.position.0).collect()
}

/// Positions that are handed out; none when there is nothing, or the database has to be asked.
fn next(state: &mut State, feed: &Feed, max: usize) -> Vec<u64> {
    match state.next(feed, max, Timestamp::UNIX_EPOCH, Instant::now()) {
        Next::Deliveries(deliveries) => positions(&deliveries),
        Next::Behind(_) | Next::Nothing(_) => Vec::new(),
    }
}

fn delivery_at(state: &mut State, position: u64) -> Delivery {
    state.handed(position).expect("it is handed out").delivery.clone()
}

#[test]
fn only_what_is_leased_is_handed_out_and_once() {
    let feed = feed(&[0, 1, 2, 0, 1, 2]);
    let mut state = state(&[0, 2]);
    assert_eq!(next(&mut state, &feed, 2), [1, 3]);
    assert_eq!(next(&mut state, &feed, 9), [4, 6]);
    assert_eq!(next(&mut state, &feed, 9), NONE);
    take(&mut state, 1, 1, 2);
    assert_eq!(next(&mut state, &feed, 9), [5], "behind the cursor of a partition that was taken later");
    assert_eq!(next(&mut state, &feed, 9), NONE);
}

#[test]
fn nothing_is_handed_out_of_a_lease_that_may_be_over() {
    let feed = feed(&[0, 1]);
    let mut state = state(&[0, 1]);
    state.leases[0].as_mut().expect("leased").holds_until = Instant::now();
    state.leases[1].as_mut().expect("leased").leaving = Some(Instant::now());
    assert_eq!(next(&mut state, &feed, 9), NONE);
    state.leases[0].as_mut().expect("leased").holds_until = later();
    assert_eq!(next(&mut state, &feed, 9), [1]);
    let first = delivery_at(&mut state, 1);
    state.give_back(&first);
    state.leases[0].as_mut().expect("leased").holds_until = Instant::now();
    assert_eq!(next(&mut state, &feed, 9), NONE, "nor what was given back");
    state.leases[0].as_mut().expect("leased").holds_until = later();
    assert_eq!(next(&mut state, &feed, 9), [1]);
}

#[test]
fn what_was_lost_comes_again_with_the_lease_and_what_is_parked_by_its_row_alone() {
    let feed = feed(&[0, 1, 0, 1]);
    let mut state = state(&[0, 1]);
    assert_eq!(next(&mut state, &feed, 9), [1, 2, 3, 4]);
    let parked = Delivery { tries: 3, ..delivery_at(&mut state, 3) };
    state.lose(0);
    assert!(state.handed(1).is_none() && state.handed(2).is_some());
    take(&mut state, 0, 2, 0);
    state.park(0, parked.clone(), Timestamp::UNIX_EPOCH);
    state.park(0, parked, Timestamp::UNIX_EPOCH);
    assert_eq!(next(&mut state, &feed, 1), [3], "what is due goes first");
    assert_eq!(state.handed(3).map(|handed| handed.delivery.tries), Some(3));
    assert_eq!(next(&mut state, &feed, 9), [1], "and is not handed out from the feed as well");
    assert_eq!(state.rows_out(), 1);
}

/// A delivery of another try, which is parked.
fn parked(position: u64, partition: u8) -> Delivery {
    delivery(ROLE, position, &placed(partition), 1).expect("it can be read")
}

#[test]
fn what_comes_again_and_what_is_new_take_turns() {
    let feed = feed(&[0; 12]);
    let mut state = state(&[0]);
    assert_eq!(next(&mut state, &feed, 5), [1, 2, 3, 4, 5]);
    for position in 1..=4 {
        state.settle(position);
        state.park(0, parked(position, 0), Timestamp::UNIX_EPOCH);
    }
    let fifth = delivery_at(&mut state, 5);
    state.give_back(&fifth);
    let turns: Vec<u64> = (0..4).flat_map(|_| next(&mut state, &feed, 1)).collect();
    assert!(turns == [5, 6, 1, 7] || turns == [6, 5, 7, 1], "{turns:?}");
    assert_eq!(next(&mut state, &feed, 4), [2, 3, 8, 9], "half of the room each");
    assert_eq!(next(&mut state, &feed, 9), [4, 10, 11, 12], "and all of it where the other has less");
    assert_eq!(next(&mut state, &feed, 9), NONE);
}

#[test]
fn what_is_due_does_not_keep_the_database_from_being_read() {
    let feed = Feed::default();
    feed.jump(10);
    let mut state = state(&[0]);
    for position in 1..=3 {
        state.park(0, parked(position, 0), Timestamp::UNIX_EPOCH);
    }
    for due in 1..=3 {
        assert_eq!(next(&mut state, &feed, 1), [due]);
        let Next::Behind(gap) = state.next(&feed, 1, Timestamp::UNIX_EPOCH, Instant::now()) else {
            panic!("what is new is in the database")
        };
        assert!(state.catch_up(gap, &[], gap.from + 1, 1).is_empty());
    }
}

#[test]
fn what_is_due_in_a_partition_that_is_not_open_is_no_reason_to_look_again_at_once() {
    let feed = Feed::default();
    let mut state = state(&[0, 1]);
    state.park(1, parked(2, 1), Timestamp::UNIX_EPOCH);
    state.leases[1].as_mut().expect("leased").leaving = Some(Instant::now());
    let nothing = |state: &mut State| match state.next(&feed, 9, Timestamp::UNIX_EPOCH, Instant::now()) {
        Next::Nothing(due) => due,
        other => panic!("nothing is to be handed out: {other:?}"),
    };
    assert_eq!(nothing(&mut state), Some(Timestamp::MAX), "some time");
    let soon = Timestamp::UNIX_EPOCH + Duration::from_secs(7);
    state.park(0, parked(1, 0), soon);
    assert_eq!(nothing(&mut state), Some(soon), "when something is due that can be handed out");
    state.leases[1].as_mut().expect("leased").leaving = None;
    assert_eq!(next(&mut state, &feed, 9), [2]);
    assert_eq!(nothing(&mut state), Some(soon));
}

#[test]
fn a_gap_is_filled_from_the_database_without_a_hole() {
    let feed = Feed::default();
    feed.jump(10);
    let mut state = state(&[0, 1]);
    let Next::Behind(gap) = state.next(&feed, 9, Timestamp::UNIX_EPOCH, Instant::now()) else {
        panic!("memory does not reach back")
    };
    assert_eq!(gap, Gap { from: 0, partitions: 0b11 });
    let rows = [(2, placed(0)), (4, placed(1)), (6, placed(0))];
    assert_eq!(positions(&state.catch_up(gap, &rows, 10, 2)), [2, 4]);
    let Next::Behind(gap) = state.next(&feed, 9, Timestamp::UNIX_EPOCH, Instant::now()) else {
        panic!("one did not fit")
    };
    // The answer comes when one of the partitions was lost and is back, from before the gap: it was not all read.
    take(&mut state, 1, 2, 1);
    assert_eq!(positions(&state.catch_up(gap, &[(6, placed(0))], 10, 9)), [6]);
    let Next::Behind(gap) = state.next(&feed, 9, Timestamp::UNIX_EPOCH, Instant::now()) else {
        panic!("partition 1 is behind")
    };
    assert_eq!(gap.from, 1);
    assert_eq!(positions(&state.catch_up(gap, &rows, 10, 9)), [4]);
    assert!(matches!(state.next(&feed, 9, Timestamp::UNIX_EPOCH, Instant::now()), Next::Nothing(None)));
    assert_eq!((state.watermark(0, |_| false), state.watermark(1, |_| false)), (1, 3));
}

#[test]
fn the_cursor_stops_at_what_is_not_settled_and_has_no_row() {
    let feed = feed(&[0, 0, 0, 0]);
    let mut state = state(&[0]);
    assert_eq!(next(&mut state, &feed, 9), [1, 2, 3, 4]);
    assert_eq!(state.watermark(0, |_| false), 0);
    assert_eq!(state.watermark(0, |position| position < 3), 2);
    state.settle(1);
    state.settle(3);
    assert_eq!(state.watermark(0, |_| false), 1);
    assert_eq!(state.laggards(0), [(2, 0)], "up to half of the way");
    state.stored(0, 2);
    assert_eq!(state.watermark(0, |_| false), 3);
    assert_eq!(state.rows_out(), 1);
    state.settle(2);
    assert_eq!(state.rows_out(), 0);
}

#[test]
fn an_event_that_cannot_be_read_holds_the_cursor_back_and_nothing_else() {
    let of_a_newer_type = Entry { kind: None, ..placed(0) };
    let of_a_newer_subject = Entry { about: About::read(6, b"new"), ..placed(0) };
    for strange in [of_a_newer_type, of_a_newer_subject] {
        let feed = feed(&[0]);
        assert!(feed.append(2, [strange, placed(0)].into_iter()));
        let mut state = state(&[0]);
        assert_eq!(next(&mut state, &feed, 9), [1, 3]);
        state.settle(1);
        state.settle(3);
        assert_eq!(state.watermark(0, |_| false), 1);
        assert!(state.laggards(0).is_empty());
        state.stored(0, 2);
        assert_eq!(state.watermark(0, |_| false), 3);
    }
}

#[test]
fn events_of_no_interest_are_passed_over() {
    let feed = Feed::default();
    let sent = Entry { kind: Some(EventType::NotificationSent), ..placed(0) };
    let unreadable = Entry { about: About::read(1, b"no id"), ..sent.clone() };
    assert!(feed.append(1, [sent.clone(), unreadable, placed(0), sent].into_iter()));
    let mut state = state(&[0, 1]);
    state.pass_over(&feed);
    assert_eq!((state.watermark(0, |_| false), state.distance(0)), (2, 2));
    assert_eq!(next(&mut state, &feed, 9), [3]);
    assert_eq!(state.watermark(1, |_| false), 4);
}

#[test]
fn what_is_given_back_for_another_try_stays() {
    let feed = feed(&[0, 0]);
    let mut state = state(&[0]);
    assert_eq!(next(&mut state, &feed, 9), [1, 2]);
    let first = delivery_at(&mut state, 1);
    state.give_back(&Delivery { tries: 1, ..first.clone() });
    assert_eq!(next(&mut state, &feed, 9), NONE);
    state.give_back(&first);
    state.give_back(&first);
    assert!(state.is_busy(0), "the second is out");
    state.reclaim();
    assert!(!state.is_busy(0));
    assert_eq!(next(&mut state, &feed, 9), [1, 2]);
}
