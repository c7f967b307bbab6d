//! The order on Restate: pay, reserve, confirm and notify as durable steps, with stock in a virtual object.
//!
//! The steps do nothing outside. So it is the engine that is measured, and Restate has less to do than Ordermill, whose steps write a
//! provider's journal and a mail file.

use std::net::SocketAddr;

use anyhow::Result;
use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// A single-line order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Who ordered.
    pub customer_id: String,
    /// What.
    pub product_id: String,
    /// Units.
    pub quantity: i64,
    /// In cents.
    pub unit_price_minor: i64,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Paid, in stock, mailed.
    Confirmed,
    /// Too few units.
    Rejected,
}

const AVAILABLE: &str = "available";
/// A product opens with more units than any run sells.
const OPENING_UNITS: i64 = 1_000_000_000;

/// The stock of one product; its key is the product's id.
pub struct Stock;

#[object]
impl Stock {
    /// Takes units, or none where there are too few.
    #[handler]
    async fn reserve(&self, ctx: ObjectContext<'_>, quantity: i64) -> Result<bool, TerminalError> {
        let available = ctx.get::<i64>(AVAILABLE).await?.unwrap_or(OPENING_UNITS);
        if available < quantity {
            return Ok(false);
        }
        ctx.set(AVAILABLE, available - quantity);
        Ok(true)
    }
}

/// The order process.
pub struct Orders;

#[service]
impl Orders {
    /// Drives one order to its end.
    #[handler]
    async fn place(&self, ctx: Context<'_>, order: Json<Order>) -> Result<Json<Outcome>, HandlerError> {
        let order = order.into_inner();
        let total_minor = order.quantity * order.unit_price_minor;
        let authorization: String =
            ctx.run(|| async move { Ok(format!("auth-{total_minor}")) }).name("authorize").await?;
        let stock = ctx.object_client::<StockClient>(order.product_id);
        if !stock.reserve(order.quantity).call().await? {
            ctx.run(|| async move { Ok(format!("voided {authorization}")) }).name("void").await?;
            return Ok(Json(Outcome::Rejected));
        }
        ctx.run(|| async move { Ok(format!("captured {authorization}")) }).name("capture").await?;
        ctx.run(|| async move { Ok(format!("mailed {}", order.customer_id)) }).name("notify").await?;
        Ok(Json(Outcome::Confirmed))
    }
}

/// Serves both until the process is stopped.
pub async fn serve(listen: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    HttpServer::new(Endpoint::builder().bind(Orders).bind(Stock).build()).serve(listener).await;
    Ok(())
}
