//! The money of one order, added up from its events by rules of its own.

use ordermill_core::event::Event;
use ordermill_core::order::Order;

/// Every amount is counted up and down by itself; nothing is derived from anything else.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Books {
    pub authorized: i64,
    pub held: i64,
    pub captured: i64,
    pub kept: i64,
    pub voided: i64,
    pub expired: i64,
    pub refunded: i64,
}

impl Books {
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut books = Self::default();
        for event in events {
            books.add(event);
        }
        books
    }

    fn add(&mut self, event: &Event) {
        match event {
            Event::PaymentAuthorized(data) => {
                self.authorized += data.amount_minor;
                self.held += data.amount_minor;
            }
            Event::PaymentCaptured(data) => {
                self.held -= data.amount_minor;
                self.captured += data.amount_minor;
                self.kept += data.amount_minor;
            }
            Event::PaymentVoided(data) => {
                self.held -= data.amount_minor;
                self.voided += data.amount_minor;
            }
            Event::PaymentExpired(data) => {
                self.held -= data.amount_minor;
                self.expired += data.amount_minor;
            }
            Event::PaymentRefunded(data) => {
                self.kept -= data.amount_minor;
                self.refunded += data.amount_minor;
            }
            _ => {}
        }
    }

    /// `authorized = held + captured + voided + expired` and `captured = kept + refunded`, nothing negative, and the order says
    /// the same.
    pub fn assert_are_those_of(&self, order: &Order) {
        let parts = [self.held, self.captured, self.voided, self.expired, self.kept, self.refunded];
        assert!(parts.iter().all(|part| *part >= 0), "{self:?}");
        assert_eq!(self.authorized, self.held + self.captured + self.voided + self.expired, "{self:?}");
        assert_eq!(self.captured, self.kept + self.refunded, "{self:?}");
        let payment = &order.payment;
        let theirs = Self {
            authorized: payment.authorized,
            held: payment.held(),
            captured: payment.captured,
            kept: payment.kept(),
            voided: payment.voided,
            expired: payment.expired,
            refunded: payment.refunded,
        };
        assert_eq!(*self, theirs);
    }
}
