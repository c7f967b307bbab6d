//! A ledger at which something else happens first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Router;
use ordermill_core::id::OrderId;
use ordermill_core::input::Body;
use ordermill_http::App;
use ordermill_ports::{Ledger, Outcome, Source, Submission, SubmitError};

use super::refuse_payment;
use crate::support::Shop;

/// What happens at a submission of a waiting client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// The money is taken right before the order is called off.
    ConfirmFirst,
    /// The capture is refused right before the order is called off.
    RejectFirst,
    /// The first placements are committed and their answers are lost.
    LosePlaced(usize),
    /// The first placement is committed and its answer is lost; every later one is not committed.
    LoseThenFail,
    /// Calling off fails so often.
    FailCancels(usize),
}

pub struct Racing {
    shop: Shop,
    play: Play,
    seen: AtomicUsize,
}

/// The shop with that ledger in front.
pub fn race(shop: &Shop, play: Play) -> Shop {
    let ledger = Racing { shop: shop.clone(), play, seen: AtomicUsize::new(0) };
    let app = App { ledger: Arc::new(ledger), ..shop.app.clone() };
    let router: Router = ordermill_http::router(app.clone());
    Shop { router, app, ..shop.clone() }
}

impl Racing {
    /// Whether this one is among the first `count`.
    fn is_among(&self, count: usize) -> bool {
        self.seen.fetch_add(1, Ordering::SeqCst) < count
    }

    async fn decide_first(&self, order_id: OrderId) {
        self.shop.pay(order_id).await;
        self.shop.submit(Body::Reserve { order_id }).await;
        match self.play {
            Play::RejectFirst => refuse_payment(&self.shop, order_id).await,
            _ => self.shop.pay(order_id).await,
        }
    }
}

#[async_trait]
impl Ledger for Racing {
    async fn submit(&self, source: Source, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let inner = &self.shop.app.ledger;
        let fail = |error: SubmitError| submissions.iter().map(|_| Err(error.clone())).collect();
        match (&submissions[0].input.body, self.play) {
            (Body::CancelUnpaid { order_id, .. }, Play::ConfirmFirst | Play::RejectFirst) => {
                self.decide_first(*order_id).await;
            }
            (Body::CancelUnpaid { .. } | Body::Cancel { .. }, Play::FailCancels(count)) if self.is_among(count) => {
                return fail(SubmitError::NotCommitted { reason: "the disk at /secret/path is full".to_owned() });
            }
            (Body::Place(_), Play::LosePlaced(count)) if self.is_among(count) => {
                let lost = fail(SubmitError::Unknown { reason: "the connection broke".to_owned() });
                inner.submit(source, submissions).await;
                return lost;
            }
            (Body::Place(_), Play::LoseThenFail) if self.is_among(1) => {
                inner.submit(source, submissions.clone()).await;
                return fail(SubmitError::Unknown { reason: "the connection broke".to_owned() });
            }
            (Body::Place(_), Play::LoseThenFail) => {
                return fail(SubmitError::NotCommitted { reason: "the disk at /secret/path is full".to_owned() });
            }
            _ => {}
        }
        inner.submit(source, submissions).await
    }

    async fn ready(&self) -> Result<(), String> {
        self.shop.app.ledger.ready().await
    }

    async fn close(&self) {
        self.shop.app.ledger.close().await;
    }
}
