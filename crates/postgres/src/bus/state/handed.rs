//! What was handed out, until it is settled.

use ordermill_ports::bus::Delivery;

use super::{Handed, State};

impl State {
    /// Puts a delivery back to be handed out again, if it is handed out for this try.
    pub(in crate::bus) fn give_back(&mut self, delivery: &Delivery) {
        let position = delivery.position.0;
        if let Some(handed) = self.handed.get_mut(&position)
            && !handed.back
            && handed.delivery.tries == delivery.tries
        {
            handed.back = true;
            self.given_back.push_back(position);
        }
    }

    /// Puts back everything that is handed out.
    pub(in crate::bus) fn reclaim(&mut self) {
        for (position, handed) in self.handed.iter_mut().filter(|(_, handed)| !handed.back) {
            handed.back = true;
            self.given_back.push_back(*position);
        }
    }

    /// The delivery that is handed out at this position.
    pub(in crate::bus) fn handed(&mut self, position: u64) -> Option<&mut Handed> {
        self.handed.get_mut(&position)
    }

    /// The delivery at this position is settled, for good or for now.
    pub(in crate::bus) fn settle(&mut self, position: u64) {
        self.handed.remove(&position);
        for meanwhile in [&mut self.paging, &mut self.looking].into_iter().flatten() {
            meanwhile.insert(position);
        }
    }

    /// Whether anything of a partition is with a receiver.
    pub(in crate::bus) fn is_busy(&self, partition: u8) -> bool {
        self.handed.values().any(|handed| handed.partition == partition && !handed.back)
    }

    /// How far the cursor of a partition may go: up to the first event that has no row and is not settled, by memory or `is_settled`.
    pub(in crate::bus) fn watermark(&self, partition: u8, is_settled: impl Fn(u64) -> bool) -> u64 {
        let Some(lease) = &self.leases[usize::from(partition)] else { return 0 };
        let holds = |(position, handed): &(&u64, &Handed)| {
            handed.partition == partition && !handed.stored && !is_settled(**position)
        };
        let first = self.handed.iter().find(holds).map(|(position, _)| *position);
        let strange = lease.strange.iter().copied().find(|position| !is_settled(*position));
        first.into_iter().chain(strange).min().map_or(lease.head, |position| position - 1)
    }

    /// How far a partition was read behind its cursor.
    pub(in crate::bus) fn distance(&self, partition: u8) -> u64 {
        let lease = self.leases[usize::from(partition)].as_ref();
        lease.map_or(0, |lease| lease.head.saturating_sub(lease.committed))
    }

    /// What holds a partition's cursor back, up to half its distance from it, the oldest first: position and tries.
    pub(in crate::bus) fn laggards(&self, partition: u8) -> Vec<(u64, u32)> {
        let Some(lease) = &self.leases[usize::from(partition)] else { return Vec::new() };
        let half = lease.committed + self.distance(partition) / 2;
        let handed = self.handed.range(..=half).filter(|(_, handed)| handed.partition == partition && !handed.stored);
        let handed = handed.map(|(position, handed)| (*position, handed.delivery.tries));
        handed.chain(lease.strange.range(..=half).map(|position| (*position, 0))).collect()
    }

    /// What was at this position has a row now.
    pub(in crate::bus) fn stored(&mut self, partition: u8, position: u64) {
        if let Some(handed) = self.handed.get_mut(&position) {
            handed.stored = true;
        }
        if let Some(lease) = &mut self.leases[usize::from(partition)] {
            lease.strange.remove(&position);
        }
    }

    /// How many deliveries with a row are handed out, so that they do not wait.
    pub(in crate::bus) fn rows_out(&self) -> u64 {
        self.handed.values().filter(|handed| handed.stored).count() as u64
    }
}
