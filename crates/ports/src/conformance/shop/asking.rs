//! Asking the ledger, and reading back what it says.

use std::sync::Arc;

use ordermill_core::input::{Body, Input, PlaceOrder};
use ordermill_core::order::Order;
use ordermill_core::refusal::Refusal;

use super::Shop;
use crate::bus::Settlement;
use crate::ledger::{Outcome, OutcomeSubject, Source, Submission, SubmitError};

impl Shop {
    /// Submits one input and reads back what it says. A refusal must leave no trace.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// When what is read is not what was answered, or there is no answer.
    pub async fn ask(&self, input: Input) -> Result<Outcome, Refusal> {
        let end = self.end().await;
        match self.backend.ledger.submit_one(Source::Live, input).await {
            Ok(outcome) => {
                self.read_back(&outcome).await;
                let changed = self.end().await > end;
                assert_eq!(outcome.changed, changed, "an outcome says whether there are new events: {outcome:?}");
                Ok(outcome)
            }
            Err(SubmitError::Refused(refusal)) => {
                assert_eq!(self.end().await, end, "a refused input leaves no event: {refusal}");
                Err(refusal)
            }
            Err(error) => panic!("an input was not answered: {error}"),
        }
    }

    async fn read_back(&self, outcome: &Outcome) {
        match &outcome.subject {
            OutcomeSubject::Order(order) => {
                let read = self.backend.queries.order(order.id).await.expect("orders can be read");
                assert_eq!(read.as_ref(), Some(order), "an order is read as it was answered");
            }
            OutcomeSubject::Product { product, stock } => {
                let read = self.backend.queries.product(&product.id).await.expect("products can be read");
                assert_eq!(read.as_ref(), Some(product), "a product is read as it was answered");
                assert_eq!(self.stock(product.id.as_str()).await, *stock, "stock is read as it was answered");
            }
            OutcomeSubject::Stock(level) if !outcome.replayed => {
                let read = self.stock(level.product_id.as_str()).await;
                assert_eq!(read.as_ref(), Some(level), "stock is read as it was answered");
            }
            OutcomeSubject::Customer(customer) => {
                let read = self.backend.queries.customer(&customer.id).await.expect("customers can be read");
                assert_eq!(read.as_ref(), Some(customer), "a customer is read as they were answered");
            }
            OutcomeSubject::Parcel { parcel, .. } => {
                let read = self.backend.queries.parcel(&parcel.id).await.expect("parcels can be read");
                assert_eq!(read.as_ref(), Some(parcel), "a parcel is read as it was answered");
            }
            OutcomeSubject::Record(record) => {
                let read = self.backend.queries.record(record.id).await.expect("records can be read");
                assert_eq!(read.as_ref(), Some(record), "a record is read as it was answered");
            }
            OutcomeSubject::Stock(_) | OutcomeSubject::Nothing => {}
        }
    }

    /// Submits an input about an order that must be accepted, and gives the order.
    ///
    /// # Panics
    /// When it is refused, or the outcome is not about an order.
    pub async fn ask_order(&self, body: Body) -> Arc<Order> {
        let outcome = self.ask(Input::new(body)).await.unwrap_or_else(|refusal| panic!("refused: {refusal}"));
        Arc::clone(outcome.order().expect("the outcome of an input about an order is the order"))
    }

    /// Puts a product on sale with this stock.
    pub async fn sell(&self, id: &str, stock: i64) {
        let put = Body::PutProduct(self.product(id, Some(stock)));
        self.ask(Input::new(put)).await.expect("a sound product is taken");
    }

    /// Places an order that must be accepted.
    pub async fn place(&self, lines: &[(&str, i64)]) -> Arc<Order> {
        self.place_request(self.request(lines)).await
    }

    /// Places an order that must be accepted.
    pub async fn place_request(&self, request: PlaceOrder) -> Arc<Order> {
        self.ask_order(Body::Place(Box::new(request))).await
    }

    /// Submits many at once; none may be refused for load.
    pub async fn submit(&self, submissions: Vec<Submission>) -> Vec<Result<Outcome, SubmitError>> {
        let count = submissions.len();
        let results = self.backend.ledger.submit(Source::Live, submissions).await;
        assert_eq!(results.len(), count, "one result per submission");
        results
    }

    /// Commits settlements alone.
    pub async fn settle(&self, settlements: impl IntoIterator<Item = Settlement>) {
        let submissions: Vec<Submission> = settlements.into_iter().map(Submission::settle).collect();
        for result in self.backend.ledger.submit(Source::Results, submissions).await {
            let outcome = result.expect("a settlement is always taken");
            assert!(matches!(outcome.subject, OutcomeSubject::Nothing) && !outcome.changed, "{outcome:?}");
        }
    }
}
