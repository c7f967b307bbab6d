//! Relay: hands committed events to the broker that carries them to the other roles and to readers outside.
//!
//! A delivery is acknowledged only after the broker has the event. What it did not take, or did not answer for, is published again: readers
//! know an event by its position. Events of one subject are handed over in their order, by whichever process leases the subject's
//! partition; where one fails, later ones may be there before it.
//!
//! Each event is settled by its own answer, and what is bounded is the number of events under way. So a part of the broker that takes
//! nothing puts off what is for it, and holds up nothing else.

mod answers;
mod read;
mod traces;

use std::sync::Arc;

use ordermill_ports::Delivery;
use ordermill_ports::publisher::{Announcement, Answer, Publisher};
use tokio::sync::{Semaphore, mpsc};

use self::answers::Answers;
use self::traces::Traces;
use crate::worker::Worker;

/// Events handed over in one go.
const BATCH: usize = 1_024;
/// Events that are not settled: handed over, waiting for the commit of their acknowledgement, or to be given back.
const UNDER_WAY: usize = 16 * BATCH;

/// An event that the broker was handed, and what it will say.
type Asked = (Delivery, Answer);

pub(super) async fn run(worker: Worker, publisher: Arc<dyn Publisher>) {
    let room = Semaphore::new(UNDER_WAY);
    let (sender, asked) = mpsc::unbounded_channel();
    // Side by side, so that neither is ever broken off in the middle of what it does.
    tokio::join!(hand_over(&worker, &*publisher, &room, sender), Answers::new(&worker, &room).settle(asked));
}

/// Hands events over until told to stop, one batch after the other, so that they keep their order.
async fn hand_over(
    worker: &Worker,
    publisher: &dyn Publisher,
    room: &Semaphore,
    sender: mpsc::UnboundedSender<Vec<Asked>>,
) {
    let mut traces = Traces::default();
    loop {
        let first = tokio::select! {
            biased;
            () = worker.stopped() => return,
            first = room.acquire() => first,
        };
        let Ok(first) = first else { return };
        first.forget();
        // Only this takes places, so that those there are stay there.
        let more = room.available_permits().min(BATCH - 1);
        let Some(deliveries) = worker.receive(1 + more).await else { return };
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
