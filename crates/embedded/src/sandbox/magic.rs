//! The magic payment methods.

use ordermill_core::id::PaymentMethod;
use ordermill_core::payment::{DeclineReason, OperationKind, PaymentKey};

/// What a payment method makes the sandbox do, as card test numbers do at real providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Magic {
    /// `ok`, and every text that is no magic word: everything works.
    Ok,
    /// `declined`: the authorization is declined.
    Declined,
    /// `insufficient_funds`: the authorization is declined with that reason.
    InsufficientFunds,
    /// `timeout_then_ok`: the authorization is carried out, but its first answer is lost; the same key again tells it.
    TimeoutThenOk,
    /// `timeout_then_declined`: the authorization is declined, but its first answer is lost; the same key again tells it.
    TimeoutThenDeclined,
    /// `unknown`: nothing is carried out and nothing is ever answered; a look-up finds nothing.
    Unknown,
    /// `slow`: every operation is carried out at once, but its first answer takes [`Options::slow`](super::Options::slow).
    /// The same key again is answered at once, so that a caller who gave up waiting can find out.
    Slow,
    /// `void_fails`: the first attempt of a void is declined.
    VoidFails,
    /// `refund_fails`: the first attempt of each refund is declined.
    RefundFails,
    /// `capture_fails`: every capture is declined.
    CaptureFails,
}

impl Magic {
    /// What this payment method means.
    #[must_use]
    pub fn of(method: &PaymentMethod) -> Self {
        match method.as_str() {
            "declined" => Self::Declined,
            "insufficient_funds" => Self::InsufficientFunds,
            "timeout_then_ok" => Self::TimeoutThenOk,
            "timeout_then_declined" => Self::TimeoutThenDeclined,
            "unknown" => Self::Unknown,
            "slow" => Self::Slow,
            "void_fails" => Self::VoidFails,
            "refund_fails" => Self::RefundFails,
            "capture_fails" => Self::CaptureFails,
            _ => Self::Ok,
        }
    }

    /// Why an operation that would be in order is refused all the same.
    pub(super) const fn refusal(self, key: &PaymentKey) -> Option<DeclineReason> {
        match (self, key.operation.kind) {
            (Self::Declined | Self::TimeoutThenDeclined, OperationKind::Authorize)
            | (Self::CaptureFails, OperationKind::Capture) => Some(DeclineReason::Declined),
            (Self::InsufficientFunds, OperationKind::Authorize) => Some(DeclineReason::InsufficientFunds),
            (Self::VoidFails, OperationKind::Void) | (Self::RefundFails, OperationKind::Refund) if key.attempt <= 1 => {
                Some(DeclineReason::Declined)
            }
            _ => None,
        }
    }

    /// Whether the first answer to an operation of this kind gets lost.
    pub(super) const fn loses_answer(self, kind: OperationKind) -> bool {
        matches!(self, Self::TimeoutThenOk | Self::TimeoutThenDeclined) && matches!(kind, OperationKind::Authorize)
    }
}
