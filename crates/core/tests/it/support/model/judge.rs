//! What holds in every state of the model, and what tells its states apart.

use ordermill_core::input::PaymentAnswer;
use ordermill_core::invariant::check_order;
use ordermill_core::order::Status;
use ordermill_core::payment::due_request;
use ordermill_core::reservation::Reservation;

use super::super::provider::Hold;
use super::{PARTIAL_MINOR, State, UNITS};

impl State {
    /// What must hold in every state.
    pub fn violations(&self) -> Vec<String> {
        let mut found: Vec<String> = check_order(&self.order).iter().map(ToString::to_string).collect();
        let level = &self.stock;
        if level.available < 0 || level.reserved < 0 || level.sold < 0 {
            found.push(format!("stock below nothing: {level:?}"));
        }
        // Bounds what the roles need to do: nobody goes looking for work that no event told of.
        let is_attended = self.payments_idle || !self.payments_waiting.is_empty();
        if due_request(&self.order).is_some() && !is_attended {
            found.push("an operation is due, and no delivery is left that would ask for it".to_owned());
        }
        if self.order.status == Status::Authorized && !self.inventory_idle {
            found.push("an order is to be reserved, and no delivery is left that would do it".to_owned());
        }
        // The provider refuses first attempts only, so each is tried twice at the most.
        if self.order.payment.operations.iter().any(|operation| operation.attempt > 2) {
            found.push("an attempt rose without a refusal of the one before".to_owned());
        }
        if self.is_quiet() && !self.is_clean() {
            found.push("nothing is left to do, and the slate is not clean".to_owned());
        }
        found
    }

    /// Whether, as far as our own books go, everything about the order is done.
    pub fn is_quiet(&self) -> bool {
        !self.order.status.is_undecided()
            && self.order.attention.is_none()
            && !self.order.payment.operations.iter().any(|operation| operation.is_open())
    }

    /// Quiet; our books equal the provider's; an order that is off keeps, holds and reserves nothing.
    pub fn is_clean(&self) -> bool {
        let (payment, account) = (&self.order.payment, self.provider.account(self.order.id));
        let of = |hold| if account.hold == hold { account.amount_minor } else { 0 };
        let ours = [payment.held(), payment.captured, payment.voided, payment.expired, payment.refunded];
        let theirs = [of(Hold::Held), of(Hold::Captured), of(Hold::Voided), of(Hold::Expired), account.refunded];
        let is_off = self.order.status.is_called_off();
        let has_nothing =
            payment.held() == 0 && payment.kept() == 0 && self.stock.reserved == 0 && self.stock.sold == 0;
        let has_all = payment.captured == self.order.placement.total.amount_minor && self.stock.sold == UNITS;
        self.is_quiet() && ours == theirs && if is_off { has_nothing } else { has_all }
    }

    /// What tells this state from others. Times, counts of events and mails are left out: nothing here turns on them.
    pub fn fingerprint(&self) -> Vec<u8> {
        let (order, account) = (&self.order, self.provider.account(self.order.id));
        let mut bytes = vec![order.status as u8, account.hold as u8, u8::from(self.payments_idle)];
        bytes.push(u8::from(self.inventory_idle));
        bytes.push(match order.reservation {
            Reservation::None => 0,
            Reservation::Held { .. } => 1,
            Reservation::Sold => 2,
            Reservation::Released => 3,
            Reservation::Expired => 4,
        });
        bytes.extend(order.attention_steps.iter().map(|step| 100 + *step as u8));
        let payment = &order.payment;
        let amounts = [payment.authorized, payment.captured, payment.voided, payment.expired, payment.refunded];
        bytes.extend(amounts.iter().chain([&account.refunded]).map(|amount| (amount / PARTIAL_MINOR) as u8));
        for operation in &payment.operations {
            let (kind, number) = (operation.id.kind as u8, operation.id.number as u8);
            let amount = (operation.amount_minor / PARTIAL_MINOR) as u8;
            bytes.extend([kind, number, operation.attempt as u8, operation.state as u8]);
            bytes.extend([u8::from(operation.refused), amount]);
        }
        for key in self.sent.keys() {
            let answer = match self.provider.answer(key) {
                None => 0,
                Some(PaymentAnswer::Succeeded { .. }) => 1,
                Some(PaymentAnswer::Unknown) => 2,
                Some(PaymentAnswer::Refused { reason }) => 3 + *reason as u8,
            };
            let is_awaited = u8::from(self.payments_waiting.contains(key));
            let (kind, number) = (key.operation.kind as u8, key.operation.number as u8);
            bytes.extend([200, kind, number, key.attempt as u8, answer, is_awaited]);
        }
        bytes
    }
}
