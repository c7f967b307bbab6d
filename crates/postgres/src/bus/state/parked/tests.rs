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

/// Rows, and which positions behind a cursor have one.
type Found = (Vec<Row>, Vec<(u8, u64)>);

impl Table {
    /// What the statements find in it.
    fn read(&self, wants: &[Want]) -> Found {
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

#[test]
fn what_had_to_leave_memory_while_rows_behind_it_were_read_is_read_as_well() {
    let (feed, mut state) = (Feed::default(), state());
    let mut table = Table((1..=300).map(|position| (position * 2, (time(1_000 + position), 1))).collect());
    page(&mut state, &table, time(9_999));
    for delivery in next(&mut state, &feed, PAGE, time(9_999)) {
        table.0.remove(&delivery.position.0);
        state.settle(delivery.position.0);
    }
    let wants = state.begin_paging(time(9_999), Instant::now());
    let (rows, ahead) = table.read(&wants);
    // More than there is room for, and due before what is being read.
    for position in 1_001..=1_600 {
        table.0.insert(position * 2, (time(1), 1));
        state.park(0, parked(position * 2, 1), time(1));
    }
    state.end_paging(&wants, rows, &ahead);
    let mut come = BTreeSet::new();
    for _ in 0..99 {
        page(&mut state, &table, time(9_999));
        come.extend(next(&mut state, &feed, 64, time(9_999)).iter().map(|delivery| delivery.position.0));
    }
    assert_eq!(come, table.0.into_keys().collect());
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// A role at work, by chance.
struct Work {
    dice: Dice,
    state: State,
    table: Table,
    feed: Feed,
    now: u64,
    token: i64,
    /// What is with a receiver.
    out: BTreeMap<u64, Delivery>,
    undone: BTreeSet<u64>,
    /// What a statement under way has found.
    reading: Option<(Vec<Want>, Found)>,
}

/// Events in the feed.
const EVENTS: u64 = 2_000;

impl Work {
    fn new(seed: u64) -> Self {
        let feed = Feed::default();
        assert!(feed.append(1, (1..=EVENTS).map(placed).collect::<Vec<_>>().into_iter()));
        let is_parked = |position: &u64| *position <= 1_500 && !position.is_multiple_of(3);
        let table = (1..=EVENTS).filter(is_parked).map(|position| (position, (time(position / 9), 1))).collect();
        Self {
            dice: Dice(seed),
            state: state(),
            table: Table(table),
            feed,
            now: 0,
            token: 1,
            out: BTreeMap::new(),
            undone: (1..=EVENTS).collect(),
            reading: None,
        }
    }

    fn receive(&mut self) {
        for delivery in next(&mut self.state, &self.feed, 40, time(self.now)) {
            let position = delivery.position.0;
            assert!(self.undone.contains(&position), "{position} is done");
            assert!(self.out.insert(position, delivery).is_none(), "{position} is with two");
        }
        self.now += self.dice.roll(2);
    }

    fn settle(&mut self) {
        for _ in 0..self.dice.roll(60) {
            let Some((position, delivery)) = self.out.pop_first() else { return };
            match self.dice.roll(8) {
                0..=2 => {
                    let (due, tries) = (time(self.now + self.dice.roll(300)), delivery.tries + 1);
                    self.table.0.insert(position, (due, tries));
                    self.state.settle(position);
                    self.state.park(placed(position).partition, Delivery { tries, ..delivery }, due);
                }
                3 => self.state.give_back(&delivery),
                _ => {
                    self.table.0.remove(&position);
                    self.undone.remove(&position);
                    self.state.settle(position);
                }
            }
        }
    }

    fn read(&mut self) {
        match self.reading.take() {
            None if self.state.runs_low(time(self.now), Instant::now()) => {
                let wants = self.state.begin_paging(time(self.now), Instant::now());
                let found = self.table.read(&wants);
                self.reading = Some((wants, found));
            }
            None => {}
            Some(_) if self.dice.roll(9) == 0 => self.state.give_up_paging(),
            Some((wants, (rows, ahead))) => self.state.end_paging(&wants, rows, &ahead),
        }
    }

    /// Another process parks something, and tells.
    fn hear(&mut self) {
        let position = EVENTS + 1 + self.dice.roll(100_000);
        self.table.0.insert(position, (time(self.now), 0));
        self.undone.insert(position);
        self.state.park(placed(position).partition, parked(position, 0), time(self.now));
    }

    /// A partition is lost, and leased again.
    fn lease_anew(&mut self) {
        let partition = u8::try_from(self.dice.roll(PARTITIONS)).expect("few");
        let is_in = |position: &u64| placed(*position).partition == partition;
        let cursor = self.state.watermark(partition, |_| false);
        self.out.retain(|position, _| !is_in(position));
        self.token += 1;
        self.state.take(partition, self.token, cursor, later());
        // What was done behind the cursor comes again, as it always may.
        self.undone.extend((cursor + 1..=EVENTS).filter(is_in));
    }
}

/// Whatever is read while whatever is settled, put off, given back, parked by others, or leased anew: each delivery comes until it is done,
/// and is with one receiver at a time.
#[test]
fn none_is_lost_and_none_is_with_two() {
    for seed in 0..30 {
        let mut work = Work::new(seed);
        for step in 0.. {
            match work.dice.roll(12) {
                0..=4 => work.receive(),
                5..=7 => work.settle(),
                8 | 9 => work.read(),
                10 if step < 10_000 => work.hear(),
                _ if step < 10_000 && work.dice.roll(200) == 0 => work.lease_anew(),
                _ => {}
            }
            assert!(held(&work.state) <= 2 * HELD_MAX, "seed {seed}");
            if work.undone.is_empty() {
                break;
            }
            assert!(step < 60_000, "seed {seed}: {} never come", work.undone.len());
        }
    }
}

/// Nothing is ever passed there: what would wait for that would be there for ever.
#[test]
fn a_role_that_a_broker_feeds_asks_for_no_more_than_a_page_and_keeps_nothing_of_what_is_done() {
    let mut state = State::new(ROLE, 0);
    (0..2).for_each(|partition| state.take(partition, 1, 0, later()));
    let wants = state.begin_paging(time(0), Instant::now());
    assert!(wants.len() == 2 && wants.iter().all(|want| want.ahead_of.is_none()), "{wants:?}");
    state.end_paging(&wants, Vec::new(), &[]);
    for position in 1..=100 {
        assert!(state.park(placed(position).partition, parked(position, 1), time(0)));
        let mut deliveries = Vec::new();
        state.hand_out_due(0b11, 10, time(1), &mut deliveries);
        assert_eq!(deliveries, [parked(position, 1)]);
        state.settle(position);
    }
    assert!(state.leases.iter().flatten().all(|lease| lease.shelf.ahead.is_empty()));
}
