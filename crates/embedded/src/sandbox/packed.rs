//! An order's operations in sixteen bytes.

use ordermill_core::money::{Currency, Money};
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind};

use super::account::Operation;

/// Nearly every order has one of four histories. Those are a tag, a currency and an amount; every other history is a list.
#[derive(Debug)]
pub(super) enum Packed {
    /// Authorized at the first attempt.
    Held(Amount),
    /// Authorized, then captured in full, both at the first attempt.
    Captured(Amount),
    /// Authorized, then voided, both at the first attempt.
    Voided(Amount),
    /// The first attempt to authorize was refused.
    Declined(DeclineReason, Amount),
    /// Any other history.
    Listed(Box<List>),
}

/// Boxed twice on purpose: the outer one is a single word, where a boxed slice takes two in every order's record.
#[derive(Debug)]
pub(super) struct List(Box<[Operation]>);

#[derive(Debug, Clone, Copy)]
#[repr(Rust, packed(4))]
pub(super) struct Amount {
    minor: i64,
    currency: Currency,
}

impl Packed {
    pub(super) fn pack(operations: &[Operation]) -> Self {
        let list = || Self::Listed(Box::new(List(operations.into())));
        let [first, rest @ ..] = operations else {
            return list();
        };
        if *first != usual(OperationKind::Authorize, first.amount, first.refused) {
            return list();
        }
        let amount = Amount::from(first.amount);
        match (first.refused, rest) {
            (None, []) => Self::Held(amount),
            (Some(reason), []) => Self::Declined(reason, amount),
            (None, [second]) if *second == usual(OperationKind::Capture, first.amount, None) => Self::Captured(amount),
            (None, [second]) if *second == usual(OperationKind::Void, first.amount, None) => Self::Voided(amount),
            _ => list(),
        }
    }

    /// The record with one operation more. What happens to nearly every order takes no list on the way.
    pub(super) fn with(&self, operation: Operation) -> Self {
        if let Self::Held(amount) = self {
            if operation == usual(OperationKind::Capture, amount.money(), None) {
                return Self::Captured(*amount);
            }
            if operation == usual(OperationKind::Void, amount.money(), None) {
                return Self::Voided(*amount);
            }
        }
        let mut operations = Vec::with_capacity(4);
        self.unpack_into(&mut operations);
        operations.push(operation);
        Self::pack(&operations)
    }

    /// Adds the operations to `operations`, in the order they were completed in.
    pub(super) fn unpack_into(&self, operations: &mut Vec<Operation>) {
        let mut add = |kind, amount: &Amount, refused| operations.push(usual(kind, amount.money(), refused));
        match self {
            Self::Held(amount) => add(OperationKind::Authorize, amount, None),
            Self::Captured(amount) => {
                add(OperationKind::Authorize, amount, None);
                add(OperationKind::Capture, amount, None);
            }
            Self::Voided(amount) => {
                add(OperationKind::Authorize, amount, None);
                add(OperationKind::Void, amount, None);
            }
            Self::Declined(reason, amount) => add(OperationKind::Authorize, amount, Some(*reason)),
            Self::Listed(list) => operations.extend_from_slice(&list.0),
        }
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { minor: money.amount_minor, currency: money.currency }
    }
}

impl Amount {
    const fn money(self) -> Money {
        Money { amount_minor: self.minor, currency: self.currency }
    }
}

fn usual(kind: OperationKind, amount: Money, refused: Option<DeclineReason>) -> Operation {
    Operation { id: OperationId { kind, number: 1 }, attempt: 1, authorization: 1, amount, refused }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &Packed) -> Vec<Operation> {
        let mut operations = Vec::new();
        packed.unpack_into(&mut operations);
        operations
    }

    #[test]
    fn every_history_survives_and_the_usual_ones_take_no_heap() {
        let usd = |amount_minor| Money { amount_minor, currency: Currency::USD };
        let held = usual(OperationKind::Authorize, usd(5), None);
        let captured = usual(OperationKind::Capture, usd(5), None);
        let voided = usual(OperationKind::Void, usd(5), None);
        let declined = usual(OperationKind::Authorize, usd(5), Some(DeclineReason::InsufficientFunds));
        let small = |packed: &Packed| !matches!(packed, Packed::Listed(_));
        for operations in [&[held][..], &[held, captured], &[held, voided], &[declined]] {
            let packed = Packed::pack(operations);
            assert!(small(&packed), "{operations:?}");
            assert_eq!(unpacked(&packed), operations);
        }
        let partly = Operation { amount: usd(4), ..captured };
        let again = Operation { attempt: 2, ..held };
        let in_euro = Operation { amount: Money { amount_minor: 5, currency: Currency::EUR }, ..captured };
        for operations in
            [&[held, partly][..], &[declined, again], &[held, captured, voided], &[held, in_euro], &[voided]]
        {
            let packed = Packed::pack(operations);
            assert!(!small(&packed), "{operations:?}");
            assert_eq!(unpacked(&packed), operations);
        }
    }

    #[test]
    fn one_operation_more_is_the_same_as_all_at_once() {
        let amount = Money { amount_minor: 5, currency: Currency::USD };
        let less = Money { amount_minor: 4, ..amount };
        let (authorize, capture) = (OperationKind::Authorize, OperationKind::Capture);
        let (void, refund) = (OperationKind::Void, OperationKind::Refund);
        let no = Some(DeclineReason::Declined);
        let histories = [
            vec![usual(authorize, amount, None), usual(capture, amount, None), usual(refund, less, None)],
            vec![usual(authorize, amount, None), usual(void, amount, None), usual(capture, amount, no)],
            vec![usual(authorize, amount, None), usual(capture, less, None)],
            vec![usual(authorize, amount, None), usual(void, amount, no), usual(void, amount, None)],
            vec![usual(authorize, amount, no), usual(authorize, amount, None)],
        ];
        for history in histories {
            for end in 1..history.len() {
                let packed = Packed::pack(&history[..end]).with(history[end]);
                assert_eq!(unpacked(&packed), history[..=end]);
                let at_once = Packed::pack(&history[..=end]);
                assert_eq!(std::mem::discriminant(&packed), std::mem::discriminant(&at_once));
            }
        }
    }

    #[test]
    fn a_record_is_as_small_as_the_module_says() {
        assert_eq!(size_of::<Packed>(), 16);
        assert_eq!(size_of::<(u128, Packed)>(), 32);
    }
}
