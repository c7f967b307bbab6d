//! A closed loop: so many connections, each sending the next order when it has the answer to the one before.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::Times;
use crate::handler::{Order, Outcome};

/// Products the orders are spread over, so that no single one is what limits the run.
const PRODUCTS: usize = 1_000;

/// One run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Run {
    /// Orders that came to their end within the measured time, per second.
    pub fulfilled_per_second: f64,
    /// From sending an order to its answer, in milliseconds. On Restate the order is fulfilled by then, on Ordermill it is on disk.
    pub answer_ms: Quantiles,
    /// From the answer to the mail, in milliseconds, where that is later.
    pub mailed_ms: Option<Quantiles>,
}

/// Of many times the one in the middle, and the one that one in a hundred exceeds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fulfilled_per_second, answer_ms, mailed_ms } = self;
        write!(
            f,
            "{fulfilled_per_second:.0} orders/s, answer p50 {:.1} ms, p99 {:.1} ms",
            answer_ms.p50, answer_ms.p99
        )?;
        match mailed_ms {
            Some(mailed) => write!(f, ", then to the mail p50 {:.1} ms, p99 {:.1} ms", mailed.p50, mailed.p99),
            None => Ok(()),
        }
    }
}

/// Sends orders to this address over so many connections.
pub async fn closed_loop(url: String, connections: usize, times: Times) -> Result<Run> {
    let url: Arc<str> = url.into();
    // As many sockets as requests under way, kept open in between. One client, as each new one would read all certificates first.
    let client = reqwest::Client::builder().pool_max_idle_per_host(connections).build()?;
    prime(&client, &url).await?;
    let measured_from = Instant::now() + times.warm_up;
    let until = measured_from + times.measured;
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let (client, url) = (client.clone(), Arc::clone(&url));
        // One after the other over the first half of the warm-up: a server that has just started chokes on all of them at once.
        let begin_after = times.warm_up.mul_f64(0.5 * connection as f64 / connections as f64);
        tasks.spawn(async move {
            tokio::time::sleep(begin_after).await;
            one_connection(client, url, connection, measured_from, until).await
        });
    }
    let mut latencies = Vec::new();
    while let Some(of_connection) = tasks.join_next().await {
        latencies.extend(of_connection.context("a connection's task failed")??);
    }
    if latencies.is_empty() {
        bail!("no order came to its end in the measured time");
    }
    latencies.sort_unstable();
    Ok(Run {
        fulfilled_per_second: latencies.len() as f64 / times.measured.as_secs_f64(),
        answer_ms: Quantiles { p50: percentile_ms(&latencies, 50), p99: percentile_ms(&latencies, 99) },
        mailed_ms: None,
    })
}

/// A few orders one by one, until the server knows the handler and has its first connections to it.
async fn prime(client: &reqwest::Client, url: &str) -> Result<()> {
    for number in 0..20 {
        place(client, url, &order(PRODUCTS + number, 0)).await?;
    }
    Ok(())
}

fn order(connection: usize, number: usize) -> Order {
    Order {
        customer_id: format!("c-{connection}"),
        product_id: format!("p-{}", (connection * 7_919 + number) % PRODUCTS),
        quantity: 1,
        unit_price_minor: 1_999,
    }
}

async fn place(client: &reqwest::Client, url: &str, order: &Order) -> Result<()> {
    let response = client.post(url).json(order).send().await?.error_for_status()?;
    match response.json().await? {
        Outcome::Confirmed => Ok(()),
        Outcome::Rejected => bail!("an order was rejected"),
    }
}

/// The latencies of the orders that ended in the measured time.
async fn one_connection(
    client: reqwest::Client,
    url: Arc<str>,
    connection: usize,
    from: Instant,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for number in 0.. {
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        place(&client, &url, &order(connection, number)).await?;
        let ended = Instant::now();
        if (from..until).contains(&ended) {
            latencies.push(ended - begun);
        }
    }
    Ok(latencies)
}

fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1_000.0
}
