use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ordermill_core::event::{EventType, Subject};
use ordermill_core::id::OrderId;
use ordermill_core::process::Role;
use ordermill_ports::Position;

use super::*;

const A: Place = (0, 0);
const B: Place = (0, 1);

fn delivery(position: u64, tries: u32) -> Delivery {
    let subject = Subject::Order(OrderId::from_bytes(u128::from(position).to_be_bytes()));
    let at = Timestamp::from_microsecond(i64::try_from(position).expect("small")).expect("an instant");
    Delivery {
        role: Role::Payments,
        position: Position(position),
        subject,
        version: 1,
        kind: EventType::OrderPlaced,
        at,
        tries,
    }
}

/// A seat with both partitions and these deliveries in `A`, at offsets from 10.
fn state(positions: &[u64]) -> State {
    let mut state = State::default();
    state.assign([A, B]);
    for (offset, position) in (10..).zip(positions) {
        assert!(state.take(A, offset, delivery(*position, 0)));
    }
    state
}

fn settle(state: &mut State, delivery: &Delivery) {
    let claim = state.claim(delivery);
    assert_ne!(claim, Claim::Void);
    state.settled(delivery, claim);
}

fn watermark(state: &State, place: Place) -> Option<i64> {
    state.parts[&place].watermark()
}

#[test]
fn an_offset_moves_behind_everything_before_it() {
    let mut state = state(&[1, 2, 3]);
    state.pass(A, 13);
    assert_eq!(state.hand_out(10).len(), 3);
    assert_eq!(watermark(&state, A), Some(10));
    settle(&mut state, &delivery(2, 0));
    assert_eq!(watermark(&state, A), Some(10), "the first is not settled");
    settle(&mut state, &delivery(1, 0));
    assert_eq!(watermark(&state, A), Some(12));
    settle(&mut state, &delivery(3, 0));
    assert_eq!(watermark(&state, A), Some(14), "what says nothing to the role is passed");
    assert_eq!(state.offsets(None), [(A, 14)]);
    state.told(&[(A, 14)]);
    assert_eq!(state.offsets(None), []);
    state.not_told();
    assert_eq!(state.offsets(Some(&[B])), []);
    assert_eq!(state.offsets(Some(&[A])), [(A, 14)]);
}

#[test]
fn a_delivery_is_handed_out_once_until_it_is_back() {
    let mut state = state(&[1, 2]);
    assert_eq!(state.hand_out(1), [delivery(1, 0)]);
    assert_eq!(state.claim(&delivery(2, 0)), Claim::Void, "nobody has it yet");
    assert_eq!(state.hand_out(5), [delivery(2, 0)]);
    assert_eq!(state.hand_out(5), []);
    assert!(state.give_back(&delivery(2, 0)) && state.give_back(&delivery(2, 0)));
    assert_eq!(state.hand_out(5), [delivery(2, 0)]);
    state.reclaim();
    assert_eq!(state.hand_out(5), [delivery(1, 0), delivery(2, 0)]);
    assert!(!state.give_back(&delivery(1, 1)), "another try is the ledger's");
    assert!(!state.give_back(&delivery(7, 0)));
}

#[test]
fn a_word_counts_once() {
    let mut state = state(&[1]);
    state.hand_out(1);
    let first = delivery(1, 0);
    assert_eq!(state.claim(&first), Claim::Broker);
    assert_eq!(state.claim(&first), Claim::Void, "it is on its way");
    state.not_settled(&first, Claim::Broker);
    assert_eq!(state.claim(&delivery(1, 1)), Claim::Void, "of a try that is none");
    settle(&mut state, &first);
    assert_eq!(state.claim(&first), Claim::Void);
    assert!(state.knows(1));
}

#[test]
fn what_the_ledger_hands_out_is_its_own() {
    let mut state = State::default();
    let second = delivery(5, 1);
    state.handed_by_ledger(std::slice::from_ref(&second));
    assert_eq!(state.claim(&delivery(5, 0)), Claim::Void, "of the try before");
    assert_eq!(state.claim(&second), Claim::Ledger);
    assert_eq!(state.claim(&second), Claim::Void);
    state.not_settled(&second, Claim::Ledger);
    settle(&mut state, &second);
    assert_eq!(state.claim(&second), Claim::Void);
}

#[test]
fn a_duplicate_beside_a_redriven_delivery_holds_nothing_back() {
    let mut state = state(&[5]);
    state.handed_by_ledger(&[delivery(5, 0)]);
    assert_eq!(state.hand_out(5).len(), 1);
    settle(&mut state, &delivery(5, 0));
    settle(&mut state, &delivery(5, 0));
    assert_eq!(state.claim(&delivery(5, 0)), Claim::Void);
    assert_eq!(watermark(&state, A), Some(11));
}

#[test]
fn what_both_have_handed_out_is_given_back_to_both() {
    let mut state = state(&[5]);
    state.handed_by_ledger(&[delivery(5, 0)]);
    assert_eq!(state.hand_out(5).len(), 1);
    let claim = state.claim(&delivery(5, 0));
    assert_eq!(claim, Claim::Ledger);
    state.not_settled(&delivery(5, 0), claim);
    assert!(!state.give_back(&delivery(5, 0)), "the ledger hands it out again");
    assert_eq!(state.hand_out(5), [delivery(5, 0)], "and so does the broker");
    settle(&mut state, &delivery(5, 0));
    assert!(state.give_back(&delivery(5, 0)), "the ledger has settled it");
}

#[test]
fn what_was_settled_in_a_history_that_is_lost_is_no_duplicate() {
    let mut state = state(&[1]);
    assert!(!state.is_another_history(0));
    state.hand_out(1);
    settle(&mut state, &delivery(1, 0));
    assert!(!state.take(A, 11, delivery(1, 0)), "it is settled");
    assert!(state.is_another_history(1) && !state.is_another_history(1));
    assert!(state.take(A, 12, delivery(1, 0)), "that was lost, and the relay has published it again");
}

#[test]
fn messages_that_were_deleted_before_they_were_read_are_counted() {
    let mut state = state(&[1]);
    state.reset(A, 12);
    state.pass(A, 11);
    assert_eq!(state.take_lost(), 0, "it was fetched before");
    assert!(state.take(A, 20, delivery(2, 0)));
    state.hold(A, 31, Held::Aside(0));
    assert_eq!((state.take_lost(), state.take_lost()), (8, 0), "and a gap behind it is none");
    state.reset(B, 7);
    state.pass(B, 0);
    assert_eq!(state.take_lost(), 0, "a topic that was made anew");
}

#[test]
fn whether_all_partitions_are_here_goes_by_what_there_is() {
    let mut state = State::default();
    state.assign([A, B]);
    assert!(state.has_all([2].into_iter()) && state.has_all([1, 1].into_iter()));
    assert!(!state.has_all([3].into_iter()));
    state.has_partitions(0, 4);
    assert!(!state.has_all([2].into_iter()), "somebody has given the topic more");
    state.assign([(0, 2), (0, 3)]);
    assert!(state.has_all([2].into_iter()));
}

#[test]
fn duplicates_are_dropped() {
    let mut state = state(&[1]);
    assert!(!state.take(A, 11, delivery(1, 0)), "it waits");
    state.hand_out(1);
    assert!(!state.take(A, 12, delivery(1, 0)), "it is handed out");
    settle(&mut state, &delivery(1, 0));
    assert!(!state.take(A, 13, delivery(1, 0)), "it is settled");
    assert_eq!((state.hand_out(5), watermark(&state, A)), (vec![], Some(14)));
}

#[test]
fn another_event_in_the_place_of_one_that_was_lost_is_no_duplicate() {
    let mut state = state(&[1, 2]);
    state.hand_out(1);
    settle(&mut state, &delivery(1, 0));
    // The server that took over did not have what was decided last, and gave the positions to others.
    let (other, again) = (delivery(70, 0).subject, delivery(2, 0).subject);
    let (first, second) =
        (Delivery { subject: other, ..delivery(1, 0) }, Delivery { version: 2, subject: again, ..delivery(2, 0) });
    assert!(state.take(A, 12, first.clone()), "its like is settled");
    assert!(state.take(A, 13, second.clone()), "its like waits");
    assert!(!state.take(A, 14, first.clone()) && !state.take(A, 15, second.clone()), "these are");
    assert_eq!(state.hand_out(5), [delivery(2, 0), first.clone(), second.clone()]);
    for delivery in [delivery(2, 0), first.clone(), second] {
        settle(&mut state, &delivery);
    }
    assert_eq!(watermark(&state, A), Some(16));
    assert!(!state.take(A, 16, first) && state.knows(1) && !state.knows(3));
}

#[test]
fn what_is_revoked_is_dropped() {
    let mut state = state(&[1, 2, 3]);
    assert!(state.take(B, 70, delivery(9, 0)));
    state.hand_out(2);
    let first = delivery(1, 0);
    assert_eq!(state.claim(&first), Claim::Broker);
    state.revoke(&[A]);
    assert_eq!(state.claim(&delivery(2, 0)), Claim::Void, "it is another's");
    assert_eq!(state.hand_out(5), [delivery(9, 0)], "nor is it handed out");
    state.settled(&first, Claim::Broker);
    assert!(!state.has(A) && state.has(B));
    state.assign([A]);
    assert_eq!(watermark(&state, A), None, "where it goes on is the broker's to say");
    assert!(!state.take(A, 10, first), "its commit was under way");
    assert!(state.take(A, 11, delivery(2, 0)));
}

#[test]
fn an_unreadable_message_holds_its_offset_alone() {
    let mut state = state(&[1]);
    state.hold(A, 11, Held::Newer);
    assert!(state.take(A, 12, delivery(3, 0)));
    for delivery in state.hand_out(5) {
        settle(&mut state, &delivery);
    }
    assert_eq!(watermark(&state, A), Some(11));
    state.settle_offset(A, 11);
    assert_eq!(watermark(&state, A), Some(13));
}

#[test]
fn what_is_held_takes_room_until_it_is_put_aside_or_anothers() {
    let mut state = state(&[1, 2]);
    state.bounds = Bounds { waiting_max: 9, all_max: 6, room_min: 1, aside_bytes_max: 100 };
    state.hold(A, 12, Held::Aside(0));
    state.hold(B, 70, Held::Aside(99));
    assert_eq!((state.room(), state.held()), (2, 2));
    state.hold(B, 71, Held::Aside(1));
    assert_eq!(state.room(), 0, "of bytes");
    state.settle_offset(B, 71);
    assert!(state.has_room_again());
    state.hold(A, 13, Held::Aside(0));
    state.hold(A, 14, Held::Aside(0));
    assert_eq!(state.room(), 0, "of messages");
    assert!(state.holds(B, 70) && !state.holds(B, 71));
    state.revoke(&[B]);
    assert!(state.has_room_again() && !state.holds(B, 70));
    assert_eq!((state.room(), state.held()), (1, 3));
}

#[test]
fn any_number_of_messages_for_a_newer_program_leaves_room_for_the_rest() {
    let mut state = state(&[1]);
    let many = 2 * i64::try_from(state.bounds.all_max).expect("small");
    for offset in 0..many {
        state.hold(A, 11 + offset, Held::Newer);
        state.hold(B, 70 + offset, Held::Newer);
    }
    assert!(state.room() > 0 && state.take(A, 11 + many, delivery(2, 0)));
    for delivery in state.hand_out(5) {
        settle(&mut state, &delivery);
    }
    assert_eq!((watermark(&state, A), watermark(&state, B)), (Some(11), Some(70)), "the first of each holds all");
    assert_eq!(state.held(), 4 * state.bounds.all_max, "and all of them are told of");
    state.revoke(&[A]);
    assert_eq!(state.held(), 2 * state.bounds.all_max);
    state.assign([A]);
    state.hold(A, 11, Held::Newer);
    assert_eq!(watermark(&state, A), Some(11), "it comes again, and holds again");
}

#[test]
fn a_message_that_is_held_for_long_is_told_of() {
    let mut state = state(&[]);
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    state.hold(A, 10, Held::Newer);
    assert_eq!(state.alarm(after(5)), None, "it may be put aside");
    let told = state.alarm(after(60)).expect("it is held for long");
    assert_eq!((told.count, told.place, told.offset, told.held), (1, A, 10, Held::Newer));
    assert_eq!(state.alarm(after(120)), None, "that is known");
    assert!(state.alarm(after(900)).is_some(), "and may be forgotten");
    state.settle_offset(A, 10);
    assert_eq!(state.alarm(after(901)), None);
    state.hold(A, 11, Held::Aside(1));
    assert_eq!(state.alarm(after(960)).map(|told| told.held), Some(Held::Aside(1)), "another");
}

#[test]
fn the_backlog_is_what_is_not_dealt_with() {
    let mut state = state(&[4, 2]);
    state.pass(B, 6);
    state.end(A, 15);
    state.end(B, 7);
    let at = |position| Some(delivery(position, 0).at);
    assert_eq!(state.backlog(), (2 + 3, at(2)), "two are here, three are not read");
    state.hand_out(5);
    settle(&mut state, &delivery(2, 0));
    state.end(A, 12);
    assert_eq!(state.backlog(), (1, at(4)));
}

/// Room for four that wait, and six in all.
fn full() -> State {
    let mut state = state(&[1, 2, 3, 4]);
    state.bounds = Bounds { waiting_max: 4, all_max: 6, room_min: 2, ..Bounds::default() };
    assert_eq!(state.room(), 0);
    state
}

#[test]
fn a_reader_without_room_is_woken_once_when_there_is_some_again() {
    let mut state = full();
    state.hand_out(1);
    assert!(!state.has_room_again(), "one is not worth it");
    state.hand_out(1);
    assert!(state.has_room_again() && !state.has_room_again());
    assert_eq!(state.room(), 2);
    assert!(state.take(A, 14, delivery(5, 0)) && state.take(A, 15, delivery(6, 0)));
    assert_eq!((state.hand_out(9).len(), state.room()), (4, 0), "all of them are with the role");
    settle(&mut state, &delivery(2, 0));
    assert!(!state.has_room_again());
    settle(&mut state, &delivery(1, 0));
    assert!(state.has_room_again() && !state.has_room_again());
    assert_eq!(state.room(), 2);
    state.hand_out(9);
    assert!(!state.has_room_again(), "it was not told that there is none");
}

#[test]
fn the_reader_sleeps_until_there_is_room() {
    for take in [
        |seat: &Seat| drop(seat.hand_out(2)),
        |seat: &Seat| {
            seat.state.lock().bounds.all_max = 4;
            for delivery in seat.hand_out(2) {
                assert_eq!(seat.state.lock().claim(&delivery), Claim::Broker);
                seat.settled(&delivery, Claim::Broker);
            }
        },
    ] {
        let seat = Arc::new(Seat { state: Mutex::new(full()), ..Seat::default() });
        let (of_reader, (asleep, is_asleep)) = (Arc::clone(&seat), mpsc::channel());
        let reader = std::thread::spawn(move || {
            of_reader.read_by_this_thread();
            while of_reader.state.lock().room() == 0 {
                asleep.send(()).expect("the test waits");
                std::thread::park();
            }
        });
        is_asleep.recv().expect("it finds no room");
        take(&seat);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !reader.is_finished() {
            assert!(Instant::now() < deadline, "it is woken");
            std::thread::yield_now();
        }
        reader.join().expect("it found room");
    }
}

#[test]
fn what_was_read_is_told_by_the_ends_of_all_partitions() {
    let mut state = State::default();
    assert!(!state.is_caught_up(), "nothing is assigned");
    state.assign([A, B]);
    state.end_reached(A);
    state.end_reached(A);
    assert!(!state.is_caught_up(), "twice the same is one of two");
    state.end_reached(B);
    assert!(state.is_caught_up());
    state.revoke(&[A, B]);
    assert!(!state.is_caught_up(), "nobody knows yet what comes");
    state.end_reached(A);
    state.assign([A, (1, 1)]);
    assert!(!state.is_caught_up(), "what was reached before does not count");
    state.end_reached((1, 1));
    state.end_reached(A);
    assert!(state.is_caught_up());
    state.revoke(&[A, (1, 1)]);
    state.assign([]);
    assert!(state.is_caught_up(), "others have everything");
}
