//! How the parts of the broker do: each partition of a topic by itself, as one of them may have no leader while the others have.
//!
//! A lane that takes nothing is asked with a few messages at a time, as probes. The others fail at once: whoever sends them puts them off,
//! and goes on with what is for other lanes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ordermill_core::channel::{self, Channel};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::options::Options;

/// A lane that has taken nothing for so long is stalled, though it has messages: longer than a new leader takes to be found.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// So many messages may be under way on a lane that takes nothing; and so many that it has refused, one behind the other, make it one.
const PROBES: usize = 16;

/// A partition of the topic of a channel.
type Place = (&'static str, u32);

/// All lanes.
#[derive(Debug)]
pub(super) struct Lanes {
    /// How many partitions the topic of a channel has, as far as it is known.
    partitions: HashMap<&'static str, AtomicU32>,
    lanes: Mutex<HashMap<Place, Arc<Mutex<Lane>>>>,
}

/// The messages of one partition.
#[derive(Debug)]
struct Lane {
    unanswered: usize,
    /// Refused since it last took one.
    refused: usize,
    /// When it last took one, or had nothing under way.
    moved_at: Instant,
}

impl Lane {
    fn is_stalled(&self, now: Instant) -> bool {
        self.unanswered > 0 && now.duration_since(self.moved_at) >= PATIENCE
    }
}

impl Lanes {
    pub(super) fn new(options: &Options) -> Arc<Self> {
        let partitions = channel::TABLE.iter().map(|channel| {
            let partitions = u32::try_from(options.partitions_of(channel)).unwrap_or(1);
            (channel.name, AtomicU32::new(partitions.max(1)))
        });
        Arc::new(Self { partitions: partitions.collect(), lanes: Mutex::default() })
    }

    /// Lets a message onto its lane. `None` when that takes nothing, and is being asked already.
    pub(super) fn enter(self: &Arc<Self>, channel: &'static Channel, key: &[u8], now: Instant) -> Option<Passage> {
        let partitions = self.partitions.get(channel.name).map_or(1, |count| count.load(Ordering::Relaxed));
        let new = || Arc::new(Mutex::new(Lane { unanswered: 0, refused: 0, moved_at: now }));
        let lane = Arc::clone(self.lanes.lock().entry((channel.name, partition(key, partitions))).or_insert_with(new));
        {
            let mut lane = lane.lock();
            if lane.unanswered >= PROBES && (lane.refused >= PROBES || lane.is_stalled(now)) {
                return None;
            }
            if lane.unanswered == 0 {
                lane.moved_at = now;
            }
            lane.unanswered += 1;
        }
        Some(Passage { lanes: Arc::clone(self), lane, channel })
    }
}

/// A message on its lane. Dropped, nothing is known of it any more.
#[derive(Debug)]
pub(super) struct Passage {
    lanes: Arc<Lanes>,
    lane: Arc<Mutex<Lane>>,
    channel: &'static Channel,
}

impl Passage {
    pub(super) const fn channel(&self) -> &'static Channel {
        self.channel
    }

    /// The broker has it, in this partition.
    pub(super) fn taken(&self, partition: i32, now: Instant) {
        if let (Some(known), Ok(partition)) = (self.lanes.partitions.get(self.channel.name), u32::try_from(partition)) {
            // Somebody has given the topic more partitions.
            known.fetch_max(partition.saturating_add(1), Ordering::Relaxed);
        }
        self.moves(now);
    }

    /// The broker takes what it is given here, though perhaps not this.
    pub(super) fn moves(&self, now: Instant) {
        let mut lane = self.lane.lock();
        lane.refused = 0;
        lane.moved_at = now;
    }

    /// The broker does not take it.
    pub(super) fn refused(&self) {
        let mut lane = self.lane.lock();
        lane.refused = lane.refused.saturating_add(1);
    }

    /// Returns when the lane has taken nothing for too long.
    pub(super) async fn stalled(&self) {
        while let Some(look_at) = self.stalls_at(Instant::now()) {
            tokio::time::sleep_until(look_at).await;
        }
    }

    /// When the lane is stalled, if nothing is taken until then. `None` when it is now.
    fn stalls_at(&self, now: Instant) -> Option<Instant> {
        let lane = self.lane.lock();
        (!lane.is_stalled(now)).then_some(lane.moved_at + PATIENCE)
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.lane.lock().unanswered -= 1;
    }
}

/// Where the client puts a message with this key: by the CRC-32 of it. It is only a guess at how the messages fall together.
fn partition(key: &[u8], partitions: u32) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    let crc = key.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step));
    !crc % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes(options: &str) -> (Arc<Lanes>, &'static Channel) {
        let options = Options::from_url(&format!("kafka://localhost:1?{options}")).expect("a sound URL");
        (Lanes::new(&options), Channel::find("order_queue").expect("it is there"))
    }

    /// Two keys that fall into different partitions of two.
    const KEYS: [&[u8]; 2] = [b"123456789", b"a"];

    #[test]
    fn a_key_falls_where_the_client_puts_it() {
        // The check value of CRC-32.
        assert_eq!(partition(b"123456789", u32::MAX), 0xcbf4_3926);
        assert_ne!(partition(KEYS[0], 2), partition(KEYS[1], 2));
    }

    #[test]
    fn a_lane_that_stands_still_is_asked_with_a_few_and_the_others_go_on() {
        let (lanes, channel) = lanes("partitions=2");
        let begun = Instant::now();
        let enter = |key: usize, now| lanes.enter(channel, KEYS[key], now);
        let stuck: Vec<Passage> = (0..1_000).filter_map(|_| enter(0, begun)).collect();
        assert_eq!(stuck.len(), 1_000, "nothing is known of it yet");
        assert_eq!(stuck[0].stalls_at(begun), Some(begun + PATIENCE));
        let later = begun + PATIENCE;
        assert_eq!(stuck[0].stalls_at(later), None);
        assert!(enter(0, later).is_none(), "it is being asked already");
        assert!(enter(1, later).is_some(), "another partition");
        stuck[0].taken(0, later);
        assert!(enter(0, later).is_some(), "it moves again");
        assert!(enter(0, later + PATIENCE).is_none());
        drop(stuck);
        let probes: Vec<Passage> = (0..100).map_while(|_| enter(0, later + PATIENCE)).collect();
        assert_eq!(probes.len(), 100, "with nothing under way it has not stood still");
    }

    #[test]
    fn a_lane_that_refuses_is_asked_with_a_few_until_it_takes_one() {
        let (lanes, channel) = lanes("partitions=1");
        let now = Instant::now();
        for _ in 0..PROBES {
            lanes.enter(channel, b"a", now).expect("a single refusal says nothing").refused();
        }
        let probes: Vec<Passage> = (0..100).map_while(|_| lanes.enter(channel, b"a", now)).collect();
        assert_eq!(probes.len(), PROBES);
        probes[3].taken(0, now);
        let more: Vec<Passage> = (0..100).map_while(|_| lanes.enter(channel, b"a", now)).collect();
        assert_eq!(more.len(), 100);
    }

    #[test]
    fn a_lane_that_is_slow_and_moves_is_waited_for() {
        let (lanes, channel) = lanes("partitions=1");
        let mut now = Instant::now();
        let enter = |now| lanes.enter(channel, b"a", now).expect("it moves");
        let (first, last) = (enter(now), enter(now));
        for _ in 0..5 {
            now += PATIENCE / 2;
            first.taken(0, now);
            assert_eq!(last.stalls_at(now), Some(now + PATIENCE));
        }
    }

    #[test]
    fn partitions_that_were_added_are_lanes_of_their_own() {
        let (lanes, channel) = lanes("partitions=1");
        let now = Instant::now();
        let enter = |key: usize| lanes.enter(channel, KEYS[key], now).expect("nothing is known of it");
        assert!(Arc::ptr_eq(&enter(0).lane, &enter(1).lane));
        enter(0).taken(1, now);
        assert!(!Arc::ptr_eq(&enter(0).lane, &enter(1).lane));
    }
}
