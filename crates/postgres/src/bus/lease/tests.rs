use ordermill_core::Timestamp;
use ordermill_core::event::{EventType, Subject};
use ordermill_core::id::OrderId;

use super::*;
use crate::bus::{Entry, Feed};

const PATIENCE: Duration = Duration::from_secs(600);

/// The payments role with leases on so many partitions.
fn state(partitions: u8) -> State {
    let mut state = State::new(Role::Payments, super::super::kinds(Role::Payments, false));
    for partition in 0..partitions {
        state.take(partition, i64::from(partition), 0, Instant::now() + PATIENCE);
    }
    let wants = state.begin_paging(Timestamp::UNIX_EPOCH, Instant::now());
    state.end_paging(&wants, Vec::new(), &[]);
    state
}

/// Hands out one order of this partition.
fn hand_out(state: &mut State, partition: u8) {
    let subject = Subject::Order(OrderId::from_bytes([partition; 16]));
    let kind = Some(EventType::OrderPlaced);
    let feed = Feed::default();
    let entry = Entry { about: subject.into(), version: 1, kind, at: Timestamp::UNIX_EPOCH, partition };
    assert!(feed.append(1, std::iter::once(entry)));
    state.next(&feed, 1, Timestamp::UNIX_EPOCH, Instant::now());
    assert!(state.is_busy(partition));
}

fn partitions(entries: &[(u8, i64, u64)]) -> Vec<u8> {
    entries.iter().map(|(partition, ..)| *partition).collect()
}

#[test]
fn a_process_wants_what_it_lacks_and_gives_up_what_is_beyond_its_share() {
    let mut state = state(5);
    let plan = plan(&mut state, 8, PATIENCE);
    assert_eq!((partitions(&plan.renew), plan.release.len(), plan.wants), (vec![0, 1, 2, 3, 4], 0, 3));
    let plan = super::plan(&mut state, 2, PATIENCE);
    assert_eq!((partitions(&plan.renew), partitions(&plan.release), plan.wants), (vec![0, 1], vec![2, 3, 4], 0));
    assert_eq!(plan.release[0], (2, 2, 0), "with its token and its cursor");
}

#[test]
fn what_is_with_a_receiver_is_kept_for_as_long_as_a_lease() {
    let mut state = state(3);
    hand_out(&mut state, 2);
    let plan = plan(&mut state, 1, PATIENCE);
    assert_eq!((partitions(&plan.renew), partitions(&plan.release)), (vec![0, 2], vec![1]));
    let plan = super::plan(&mut state, 1, Duration::ZERO);
    assert_eq!((partitions(&plan.renew), partitions(&plan.release)), (vec![0], vec![1, 2]));
}

#[test]
fn a_partition_that_is_leaving_stays_where_there_is_room_again() {
    let mut state = state(2);
    hand_out(&mut state, 0);
    state.leases[0].as_mut().expect("leased").leaving = Some(Instant::now());
    let plan = plan(&mut state, 1, PATIENCE);
    assert_eq!((partitions(&plan.renew), plan.release.len()), (vec![1, 0], 0), "the other one is the one to keep");
    let plan = super::plan(&mut state, 2, PATIENCE);
    assert_eq!((partitions(&plan.renew), plan.wants), (vec![1, 0], 0));
    assert!(state.leases.iter().flatten().all(|lease| lease.leaving.is_none()));
}
