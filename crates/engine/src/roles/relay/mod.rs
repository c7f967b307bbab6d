//! Relay: hands committed events to the broker that carries them to the other roles and to readers outside.
//!
//! A delivery is acknowledged only after the broker has the event. What it did not take, or did not answer for, is published again: readers
//! know an event by its position. Events of one subject are handed over in their order, by whichever process leases the subject's
//! partition; where one fails, later ones may be there before it.
//!
//! Each event is settled by its own answer, and what is bounded is the number of events under way. So a part of the broker that takes
//! nothing puts off what is for it, and holds up nothing else. A process that is cut off from the broker leaves its share to the others.

mod answers;
mod read;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use ordermill_ports::Delivery;
use ordermill_ports::publisher::{Announcement, Answer, Publisher};
use tokio::sync::{Semaphore, mpsc, watch};

use self::answers::Answers;
use self::traces::Traces;
use crate::worker::Worker;

/// Events handed over in one go.
const BATCH: usize = 1_024;
/// Events that are not settled: handed over, waiting for the commit of their acknowledgement, or to be given back.
const UNDER_WAY: usize = 16 * BATCH;

/// How often a broker that is out of reach is looked for.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// An event that the broker was handed, and what it will say.
type Asked = (Delivery, Answer);

pub(super) async fn run(worker: Worker, publisher: Arc<dyn Publisher>) {
    while worker.stopped().now_or_never().is_none() {
        let room = Semaphore::new(UNDER_WAY);
        let (sender, asked) = mpsc::unbounded_channel();
        let is_cut_off = watch::Sender::new(false);
        let answers = Answers::new(&worker, &*publisher, &room, &is_cut_off);
        // Side by side, so that neither is ever broken off in the middle of what it does.
        tokio::join!(hand_over(&worker, &*publisher, &room, sender, is_cut_off.subscribe()), answers.settle(asked));
        if *is_cut_off.borrow() {
            stand_aside(&worker, &*publisher).await;
        }
    }
}

/// Leaves the events to other processes, which may have a way to the broker, until this one has one again.
async fn stand_aside(worker: &Worker, publisher: &dyn Publisher) {
    tracing::warn!("the broker is out of reach; what is to be published is left to other processes");
    worker.parts.bus.leave(worker.role).await;
    loop {
        let is_there = tokio::select! {
            biased;
            () = worker.stopped() => return,
            is_there = publisher.is_there() => is_there,
        };
        if is_there {
            return tracing::info!("the broker is within reach; its share of the events is published here again");
        }
        worker.pause(LOOK_INTERVAL).await;
    }
}

/// Hands events over until told to stop, or cut off from the broker; one batch after the other, so that they keep their order.
async fn hand_over(
    worker: &Worker,
    publisher: &dyn Publisher,
    room: &Semaphore,
    sender: mpsc::UnboundedSender<Vec<Asked>>,
    mut is_cut_off: watch::Receiver<bool>,
) {
    let mut traces = Traces::default();
    loop {
        let next = async {
            room.acquire().await.ok()?.forget();
            // Only this takes places, so that those there are stay there.
            let more = room.available_permits().min(BATCH - 1);
            worker.receive(1 + more).await
        };
        let deliveries = tokio::select! {
            biased;
            () = worker.stopped() => return,
            _ = is_cut_off.wait_for(|is_cut_off| *is_cut_off) => return,
            deliveries = next => deliveries,
        };
        let Some(deliveries) = deliveries else { return };
        let (deliveries, announcements) = look_up(worker, &mut traces, deliveries).await;
        let sent = deliveries.len();
        if let Some(taken) = sent.checked_sub(1) {
            room.forget_permits(taken);
        } else {
            room.add_permits(1);
        }
        if sent == 0 {
            continue;
        }
        let answers = publisher.publish(announcements).await;
        if sender.send(deliveries.into_iter().zip(answers).collect()).is_err() {
            return;
        }
    }
}

/// Reads the events of these deliveries, oldest first. Those without are dealt with already: given back, put off, or given up.
async fn look_up(
    worker: &Worker,
    traces: &mut Traces,
    deliveries: Vec<Delivery>,
) -> (Vec<Delivery>, Vec<Announcement>) {
    let found = read::read(worker, deliveries).await;
    let (deliveries, events): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    if traces.learn(worker, &events).await.is_err() {
        worker.give_back(deliveries).await;
        return (Vec::new(), Vec::new());
    }
    let announce = |event| Announcement { trace: traces.of(&event), event };
    (deliveries, events.into_iter().map(announce).collect())
}
