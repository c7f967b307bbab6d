use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ordermill_core::event::{EventType, Subject};
use ordermill_core::id::OrderId;
use ordermill_core::process::Role;

use super::*;
use crate::bus::{Entry, Feed};

const ROLE: Role = Role::Payments;

/// Two of the partitions are leased here.
const PARTITIONS: u64 = 2;

fn time(second: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(second)
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

fn placed(position: u64) -> Entry {
    let partition = u8::try_from(position % PARTITIONS).expect("few");
    let subject = Subject::Order(OrderId::from_bytes(u128::from(position).to_be_bytes()));
    Entry { about: subject.into(), version: 1, kind: Some(EventType::OrderPlaced), at: time(0), partition }
}

fn parked(position: u64, tries: u32) -> Delivery {
    super::super::delivery(ROLE, position, &placed(position), tries).expect("it can be read")
}

/// The table, as it is committed: when each delivery is due, and its tries.
#[derive(Default, Clone)]
struct Table(BTreeMap<u64, (Timestamp, u32)>);

impl Table {
    /// What the statements find in it.
    fn read(&self, wants: &[Want]) -> (Vec<Row>, Vec<(u8, u64)>) {
        let mut found = Vec::new();
        for want in wants {
            let mine = self.0.iter().filter(|(position, _)| placed(**position).partition == want.partition);
            let mut rows: Vec<(Key, u32)> = mine.map(|(position, (due, tries))| ((*due, *position), *tries)).collect();
            rows.sort_unstable();
            let page = rows.into_iter().filter(|(key, _)| *key >= want.from).take(PAGE);
            found.extend(page.map(|(key, tries)| Row {
                partition: want.partition,
                key,
                delivery: Some(parked(key.1, tries)),
            }));
        }
        let cursor = wants.iter().filter_map(|want| want.ahead_of).min().unwrap_or(u64::MAX);
        let ahead = self.0.keys().filter(|position| **position > cursor);
        (found, ahead.map(|position| (placed(*position).partition, *position)).collect())
    }
}

/// The payments role, with leases from the beginning.
fn state() -> State {
    let mut state = State::new(ROLE, crate::bus::kinds(ROLE, false));
    for partition in 0..2 {
        state.take(partition, 1, 0, later());
    }
    state
}

/// Reads what is wanted now.
fn page(state: &mut State, table: &Table, now: Timestamp) {
    let wants = state.begin_paging(now, Instant::now());
    let (rows, ahead) = table.read(&wants);
    state.end_paging(&wants, rows, &ahead);
}

fn next(state: &mut State, feed: &Feed, max: usize, now: Timestamp) -> Vec<Delivery> {
    match state.next(feed, max, now, Instant::now()) {
        super::super::Next::Deliveries(deliveries) => deliveries,
        _ => Vec::new(),
    }
}

fn held(state: &State) -> usize {
    state.leases.iter().flatten().map(|lease| lease.shelf.held.len()).sum()
}

#[test]
fn of_many_a_part_is_in_memory_and_all_come_as_they_are_due() {
    let (feed, mut state) = (Feed::default(), state());
    let mut table = Table::default();
    table.0.extend((1..=5_000).map(|position| (position, (time(position * 7_919 % 5_000), 1))));
    let (mut come, mut most) = (Vec::new(), 0);
    while come.len() < 5_000 {
        if state.runs_low(time(9_999), Instant::now()) {
            page(&mut state, &table, time(9_999));
        }
        most = most.max(held(&state));
        for delivery in next(&mut state, &feed, 100, time(9_999)) {
            let position = delivery.position.0;
            come.push(table.0.remove(&position).expect("each comes once"));
            state.settle(position);
        }
    }
    assert!(come.is_sorted());
    assert!(most < 4 * PAGE, "not two pages of each partition: {most}");
}

#[test]
fn what_is_put_off_beyond_what_is_in_memory_is_in_the_table_alone() {
    let (feed, mut state) = (Feed::default(), state());
    page(&mut state, &Table::default(), time(0));
    // Nothing more is in the table, so all of it is in memory, up to the bound.
    for position in 1..=4_000 {
        state.park(placed(position).partition, parked(position, 1), time(5_000 - position));
    }
    assert_eq!(held(&state), 2 * HELD_MAX);
    let table = Table((1..=4_000).map(|position| (position, (time(5_000 - position), 1))).collect());
    assert_eq!(state.next_due(u16::MAX, time(0)), Some(time(1_000)), "the last one parked is due first");
    let mut come = Vec::new();
    while let more @ [_, ..] = &next(&mut state, &feed, 64, time(9_999))[..] {
        come.extend(more.iter().map(|delivery| delivery.position.0));
        page(&mut state, &table, time(9_999));
    }
    assert_eq!(come, (1..=4_000).rev().collect::<Vec<_>>());
}

#[test]
fn the_feed_does_not_hand_out_what_has_a_row() {
    let mut state = state();
    let feed = Feed::default();
    assert!(feed.append(1, (1..=3_000).map(placed).collect::<Vec<_>>().into_iter()));
    // All but each tenth were put off before the lease was taken, more than there is room for.
    let is_parked = |position: &u64| !position.is_multiple_of(10);
    let table = Table((1..=3_000).filter(is_parked).map(|position| (position, (time(100), 1))).collect());
    assert!(next(&mut state, &feed, 9_999, time(0)).is_empty(), "it is not known yet what has a row");
    page(&mut state, &table, time(0));
    let new: Vec<u64> = next(&mut state, &feed, 9_999, time(0)).iter().map(|delivery| delivery.position.0).collect();
    assert_eq!(new, (1..=300).map(|number| number * 10).collect::<Vec<_>>());
}

#[test]
fn what_is_settled_while_rows_are_read_does_not_come_by_them() {
    let (feed, mut state) = (Feed::default(), state());
    let table = Table((1..=400).map(|position| (position * 2, (time(position), 1))).collect());
    page(&mut state, &table, time(0));
    let first = next(&mut state, &feed, 2, time(999));
    assert_eq!(first.len(), 2);
    let wants = state.begin_paging(time(999), Instant::now());
    // As the statement sees them: before the one is done, and the other put off to behind the page.
    let (mut rows, ahead) = table.read(&wants);
    let stale = |delivery: &Delivery| Row {
        partition: 0,
        key: (time(999), delivery.position.0),
        delivery: Some(delivery.clone()),
    };
    rows.extend(first.iter().map(stale));
    first.iter().for_each(|delivery| state.settle(delivery.position.0));
    state.park(0, Delivery { tries: 2, ..first[1].clone() }, time(2_000));
    state.end_paging(&wants, rows, &ahead);
    let mut come: Vec<u64> = Vec::new();
    while let more @ [_, ..] = &next(&mut state, &feed, 64, time(999))[..] {
        come.extend(more.iter().map(|delivery| delivery.position.0));
    }
    assert_eq!(come, (3..=400).map(|position| position * 2).collect::<Vec<_>>());
    let table = Table([(first[1].position.0, (time(2_000), 2))].into());
    page(&mut state, &table, time(2_000));
    assert_eq!(next(&mut state, &feed, 9, time(2_000)), [Delivery { tries: 2, ..first[1].clone() }]);
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Whatever is read while whatever is settled, put off, given back, redriven by others, or leased anew: each delivery comes until it is done,
/// and is with one receiver at a time.
#[test]
fn none_is_lost_and_none_is_with_two() {
    for seed in 0..30 {
        let (mut dice, mut state, mut table) = (Dice(seed), state(), Table::default());
        let feed = Feed::default();
        assert!(feed.append(1, (1..=2_000).map(placed).collect::<Vec<_>>().into_iter()));
        table.0.extend(
            (1..=1_500).filter(|position| position % 3 > 0).map(|position| (position, (time(position / 9), 1))),
        );
        let mut undone: BTreeSet<u64> = (1..=2_000).collect();
        let (mut out, mut reading, mut token, mut now) = (BTreeMap::new(), None, 1, 0);
        for step in 0..60_000 {
            assert!(step < 59_999, "seed {seed}: {} never come", undone.len());
            if undone.is_empty() {
                break;
            }
            match dice.roll(12) {
                0..=4 => {
                    for delivery in next(&mut state, &feed, 40, time(now)) {
                        let position = delivery.position.0;
                        assert!(undone.contains(&position), "seed {seed}: {position} is done");
                        assert!(out.insert(position, delivery).is_none(), "seed {seed}: {position} is with two");
                    }
                    now += dice.roll(2);
                }
                5..=7 => {
                    for _ in 0..dice.roll(60) {
                        let Some((position, delivery)) = out.pop_first() else { break };
                        match dice.roll(8) {
                            0..=2 => {
                                let (due, tries) = (time(now + dice.roll(300)), delivery.tries + 1);
                                table.0.insert(position, (due, tries));
                                state.settle(position);
                                state.park(placed(position).partition, Delivery { tries, ..delivery }, due);
                            }
                            3 => {
                                state.give_back(&delivery);
                            }
                            _ => {
                                table.0.remove(&position);
                                undone.remove(&position);
                                state.settle(position);
                            }
                        }
                    }
                }
                8 | 9 => match reading.take() {
                    None if state.runs_low(time(now), Instant::now()) => {
                        let wants = state.begin_paging(time(now), Instant::now());
                        let found = table.read(&wants);
                        reading = Some((wants, found));
                    }
                    None => {}
                    Some((_, _)) if dice.roll(9) == 0 => state.give_up_paging(),
                    Some((wants, (rows, ahead))) => state.end_paging(&wants, rows, &ahead),
                },
                10 if step < 10_000 => {
                    // Another process parks something anew, and tells.
                    let position = 2_001 + dice.roll(100_000);
                    table.0.insert(position, (time(now), 0));
                    undone.insert(position);
                    state.park(placed(position).partition, parked(position, 0), time(now));
                }
                _ if step < 10_000 && dice.roll(200) == 0 => {
                    // What has no row comes again by the feed, behind the cursor of the lease.
                    let partition = u8::try_from(dice.roll(PARTITIONS)).expect("few");
                    let cursor = state.watermark(partition, |_| false);
                    out.retain(|position, _| placed(*position).partition != partition);
                    token += 1;
                    state.take(partition, token, cursor, later());
                    // What was done behind the cursor comes again, as it always may.
                    undone.extend((cursor + 1..=2_000).filter(|position| placed(*position).partition == partition));
                }
                _ => {}
            }
            assert!(held(&state) <= 2 * HELD_MAX, "seed {seed}");
        }
    }
}
