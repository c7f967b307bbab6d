//! What an authorization allows: the provider's own state machine.

use ordermill_core::money::Money;
use ordermill_core::payment::{DeclineReason, OperationId, OperationKind, PaymentRequest};

use super::magic::Magic;

/// One completed operation of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Operation {
    pub id: OperationId,
    pub attempt: u16,
    /// The number of the authorization it was asked for; its own number for an authorize, 0 where none of this order was named.
    pub authorization: u16,
    pub amount: Money,
    /// `None` = carried out.
    pub refused: Option<DeclineReason>,
}

/// What has become of one authorization.
#[derive(Debug, Default)]
struct Account {
    held: Option<Money>,
    captured: Option<i64>,
    voided: bool,
    refunded: i64,
}

impl Account {
    fn of(operations: &[Operation], number: u16) -> Self {
        let mut account = Self::default();
        let done = operations.iter().filter(|done| done.authorization == number && done.refused.is_none());
        for operation in done {
            match operation.id.kind {
                OperationKind::Authorize => account.held = Some(operation.amount),
                OperationKind::Capture => account.captured = Some(operation.amount.amount_minor),
                OperationKind::Void => account.voided = true,
                OperationKind::Refund => account.refunded += operation.amount.amount_minor,
            }
        }
        account
    }
}

/// Decides a request that was not answered before, on everything completed for its order.
pub(super) fn judge(operations: &[Operation], request: &PaymentRequest, magic: Magic) -> Operation {
    let key = &request.key;
    let authorization = match (key.operation.kind, &request.authorization) {
        (OperationKind::Authorize, _) => Some(key.operation.number),
        (_, Some(reference)) => super::authorization_number(reference, key),
        (_, None) => None,
    };
    let account = authorization.map(|number| Account::of(operations, number)).unwrap_or_default();
    let refused = refusal(&account, request).or_else(|| magic.refusal(key));
    Operation {
        id: key.operation,
        attempt: key.attempt,
        authorization: authorization.unwrap_or(0),
        amount: request.amount,
        refused,
    }
}

fn refusal(account: &Account, request: &PaymentRequest) -> Option<DeclineReason> {
    let kind = request.key.operation.kind;
    let Money { amount_minor, currency } = request.amount;
    // An order of free products has a total of nothing, and goes the same way as every other.
    if amount_minor < 0 {
        return Some(DeclineReason::Invalid);
    }
    if kind == OperationKind::Authorize {
        // Another attempt of an authorization that is held would hold the money twice.
        return account.held.map(|_| DeclineReason::Invalid);
    }
    if request.authorization.is_none() {
        return Some(DeclineReason::Invalid);
    }
    let Some(held) = account.held else {
        return Some(DeclineReason::NotFound);
    };
    if held.currency != currency {
        return Some(DeclineReason::Invalid);
    }
    match kind {
        OperationKind::Authorize => None,
        OperationKind::Capture | OperationKind::Void if account.voided => Some(DeclineReason::Voided),
        OperationKind::Capture | OperationKind::Void if account.captured.is_some() => {
            Some(DeclineReason::AlreadyCaptured)
        }
        OperationKind::Capture => (amount_minor > held.amount_minor).then_some(DeclineReason::Invalid),
        // All of it or nothing: what is left of a void would be held for ever.
        OperationKind::Void => (amount_minor != held.amount_minor).then_some(DeclineReason::Invalid),
        OperationKind::Refund => {
            let left = account.captured.unwrap_or(0) - account.refunded;
            (amount_minor > left).then_some(DeclineReason::Invalid)
        }
    }
}
