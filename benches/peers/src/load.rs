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
    /// From sending an order to knowing that it is fulfilled, where that was measured.
    pub p50_ms: Option<f64>,
    /// The same for the slowest of a hundred.
    pub p99_ms: Option<f64>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fulfilled_per_second, p50_ms, p99_ms } = self;
        let ms = |value: &Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1} ms"));
        write!(f, "{fulfilled_per_second:.0} orders/s, p50 {}, p99 {}", ms(p50_ms), ms(p99_ms))
    }
}

/// Sends orders to this address over so many connections.
pub async fn closed_loop(url: String, connections: usize, times: Times) -> Result<Run> {
    let url: Arc<str> = url.into();
    let measured_from = Instant::now() + times.warm_up;
    let until = measured_from + times.measured;
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        tasks.spawn(one_connection(Arc::clone(&url), connection, measured_from, until));
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
        p50_ms: Some(percentile_ms(&latencies, 50)),
        p99_ms: Some(percentile_ms(&latencies, 99)),
    })
}

/// The latencies of the orders that ended in the measured time. Each connection has a client, and so a socket, of its own.
async fn one_connection(url: Arc<str>, connection: usize, from: Instant, until: Instant) -> Result<Vec<Duration>> {
    let client = reqwest::Client::builder().pool_max_idle_per_host(1).build()?;
    let mut latencies = Vec::new();
    for number in 0.. {
        let order = Order {
            customer_id: format!("c-{connection}"),
            product_id: format!("p-{}", (connection * 7_919 + number) % PRODUCTS),
            quantity: 1,
            unit_price_minor: 1_999,
        };
        let begun = Instant::now();
        if begun >= until {
            break;
        }
        let response = client.post(&*url).json(&order).send().await?.error_for_status()?;
        let outcome: Outcome = response.json().await?;
        let ended = Instant::now();
        if outcome != Outcome::Confirmed {
            bail!("an order was {outcome:?}");
        }
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
