//! The load: every connection a task, in a closed loop (the next request when the answer is there) or an open one (requests at a
//! fixed rate, each timed from when it should have been sent, so that a slow server cannot slow the clock down).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use hdrhistogram::Histogram;
use http::Request;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::figures;
use super::mailbox::Mailbox;
use super::wire::{Target, Wire};

/// The longest the pacer of an open loop sleeps too long: a tick.
const TICK: Duration = Duration::from_micros(200);

/// How hard, and how long.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) connections: usize,
    /// Requests per second; `None` = a closed loop.
    pub(super) rate: Option<f64>,
    /// Not measured.
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
}

/// Makes the requests of one connection.
pub(super) trait Requests: Send + 'static {
    fn next(&mut self, target: &Target) -> Request<Full<Bytes>>;

    /// What an answer says of the reports in its request; nothing where there are none.
    ///
    /// # Errors
    /// The answer has another shape than expected.
    fn reports(&mut self, _answer: &Bytes) -> anyhow::Result<Reports> {
        Ok(Reports::default())
    }
}

/// Reports of parcels, by what was answered to each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reports {
    /// Moved their parcel.
    pub(super) moved: u64,
    /// Were taken and moved nothing: late, or there before.
    pub(super) idle: u64,
    /// Could not be.
    pub(super) refused: u64,
}

impl std::ops::AddAssign for Reports {
    fn add_assign(&mut self, other: Self) {
        self.moved += other.moved;
        self.idle += other.idle;
        self.refused += other.refused;
    }
}

/// What came of the load.
#[derive(Debug)]
pub(super) struct Tally {
    /// Answered with success, from the very first request.
    pub(super) accepted: u64,
    /// Of these, in the measured window.
    pub(super) accepted_measured: u64,
    /// Answered 4xx.
    pub(super) refused: u64,
    /// Answered 503.
    pub(super) shed: u64,
    /// Answered 5xx otherwise.
    pub(super) failed: u64,
    /// Not answered.
    pub(super) broken: u64,
    /// Should have been sent in an open loop, and no connection was free until the end.
    pub(super) unsent: u64,
    /// Of accepted requests in the window, in microseconds.
    pub(super) latency_us: Histogram<u64>,
    /// Reports in accepted requests in the window.
    pub(super) reports: Reports,
    /// When the window began.
    pub(super) began: Instant,
    /// When the last answer of the window was there.
    pub(super) ended: Instant,
    /// Mails seen when the window began.
    pub(super) mails_before: u64,
}

impl Tally {
    fn new(began: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            accepted: 0,
            accepted_measured: 0,
            refused: 0,
            shed: 0,
            failed: 0,
            broken: 0,
            unsent: 0,
            latency_us: Histogram::new(3)?,
            reports: Reports::default(),
            began,
            ended: began,
            mails_before: 0,
        })
    }

    fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.accepted += other.accepted;
        self.accepted_measured += other.accepted_measured;
        self.refused += other.refused;
        self.shed += other.shed;
        self.failed += other.failed;
        self.broken += other.broken;
        self.reports += other.reports;
        self.ended = self.ended.max(other.ended);
        self.latency_us.add(&other.latency_us).context("latencies of two connections cannot be joined")
    }
}

/// What the connections share.
struct Plan {
    measure_from: Instant,
    end: Instant,
    /// One permit for each request that is due in an open loop.
    due: Semaphore,
    begin: Instant,
    interval: Option<Duration>,
    next: AtomicU64,
    over: AtomicBool,
}

impl Plan {
    /// Waits for the next request of this connection; gives the time from which it is measured, or `None` at the end.
    async fn turn(&self) -> Option<Instant> {
        let Some(interval) = self.interval else {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        };
        self.due.acquire().await.ok()?.forget();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Some(self.begin + interval.mul_f64(number as f64)).filter(|_| !self.over.load(Ordering::Relaxed))
    }

    /// Gives out permits as requests become due. Runs on a thread of its own: timers of the runtime are too coarse.
    fn pace(&self) -> u64 {
        let Some(interval) = self.interval else { return 0 };
        let mut given: u64 = 0;
        loop {
            let now = Instant::now();
            let until = now.min(self.end).saturating_duration_since(self.begin);
            let due = (until.as_secs_f64() / interval.as_secs_f64()) as u64 + 1;
            self.due.add_permits(usize::try_from(due.saturating_sub(given)).unwrap_or(0));
            given = given.max(due);
            if now >= self.end {
                break;
            }
            let next = self.begin + interval.mul_f64(given as f64);
            std::thread::sleep(next.saturating_duration_since(Instant::now()).max(TICK));
        }
        self.over.store(true, Ordering::Relaxed);
        let unsent = self.due.available_permits() as u64;
        self.due.close();
        unsent
    }
}

/// Puts the load on servers, the connections shared out among them. `mailbox` is told of accepted orders.
pub(super) async fn drive<R: Requests>(
    targets: &[Target],
    shape: &Shape,
    mailbox: Option<&Arc<Mailbox>>,
    requests: impl Fn() -> R,
) -> anyhow::Result<Tally> {
    let begin = Instant::now();
    let measure_from = begin + shape.warm_up;
    let plan = Arc::new(Plan {
        measure_from,
        end: measure_from + shape.duration,
        due: Semaphore::new(0),
        begin,
        interval: shape.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        next: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let mut tasks = JoinSet::new();
    for target in targets.iter().cycle().take(shape.connections) {
        let wire = Wire::new(target.clone());
        tasks.spawn(connection(wire, Arc::clone(&plan), mailbox.map(Arc::clone), requests()));
    }
    let pacer = Arc::clone(&plan);
    let pacer = tokio::task::spawn_blocking(move || pacer.pace());
    tokio::time::sleep_until(measure_from.into()).await;
    let mut tally = Tally::new(Instant::now())?;
    if let Some(mailbox) = mailbox {
        mailbox.begin_samples();
        tally.mails_before = mailbox.count();
    }
    while let Some(done) = tasks.join_next().await {
        tally.add(&done??)?;
    }
    tally.unsent = pacer.await?;
    Ok(tally)
}

async fn connection<R: Requests>(
    mut wire: Wire,
    plan: Arc<Plan>,
    mailbox: Option<Arc<Mailbox>>,
    mut requests: R,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new(plan.measure_from)?;
    while let Some(from) = plan.turn().await {
        let request = requests.next(&wire.target);
        let answer = wire.send(request).await;
        let now = Instant::now();
        match answer {
            Ok((status, body)) if status.is_success() => {
                tally.accepted += 1;
                if from >= plan.measure_from {
                    tally.accepted_measured += 1;
                    tally.ended = now;
                    figures::record(&mut tally.latency_us, now.saturating_duration_since(from));
                    tally.reports += requests.reports(&body)?;
                }
                if let (Some(mailbox), Some(order)) = (&mailbox, order_id(&body)) {
                    mailbox.answered(order, now);
                }
            }
            Ok((status, _)) if status.as_u16() == 503 => {
                tally.shed += 1;
                // What a polite client does; hammering on would measure the refusals.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok((status, _)) if status.is_client_error() => tally.refused += 1,
            Ok(_) => tally.failed += 1,
            Err(_) => {
                tally.broken += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    Ok(tally)
}

/// The id in an answer, found without reading the whole document.
fn order_id(body: &[u8]) -> Option<Uuid> {
    const FIELD: &[u8] = b"\"order_id\":\"ord_";
    let begin = body.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    Uuid::try_parse_ascii(body.get(begin..begin + 32)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_id_is_found() {
        let id = Uuid::from_u128(77);
        let body = format!("{{\"order_id\":\"ord_{}\",\"status\":\"placed\"}}", id.as_simple());
        assert_eq!(order_id(body.as_bytes()), Some(id));
        assert_eq!(order_id(b"{\"order_id\":\"ord_12\"}"), None);
        assert_eq!(order_id(b""), None);
    }

    #[tokio::test]
    async fn an_open_loop_times_requests_from_when_they_were_due() {
        let begin = Instant::now();
        let plan = Arc::new(Plan {
            measure_from: begin,
            // Out of reach, so that it is no question of time how many are sent.
            end: begin + Duration::from_secs(3_600),
            due: Semaphore::new(0),
            begin,
            interval: Some(Duration::from_millis(10)),
            next: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let pacer = Arc::clone(&plan);
        // It ends with the program.
        std::thread::spawn(move || pacer.pace());
        let mut due = Vec::new();
        for _ in 0..10 {
            let from = plan.turn().await.expect("it is not over");
            if due.is_empty() {
                // The server is slow once; the requests behind are late, and say so.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            due.push(from);
        }
        let expected: Vec<Instant> = (0..10).map(|n| begin + Duration::from_millis(10) * n).collect();
        assert_eq!(due, expected);
    }
}
