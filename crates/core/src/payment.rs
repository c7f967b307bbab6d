//! The money side of an order: what was asked of the payment provider, and what came of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;
use crate::id::{OrderId, ProviderRef};
use crate::order::Order;

/// What a payment provider can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Hold the money on the customer's account.
    Authorize,
    /// Take the held money.
    Capture,
    /// Let go of the held money: the undo of authorize.
    Void,
    /// Give captured money back: the undo of capture.
    Refund,
}

impl OperationKind {
    /// The name in ids, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

/// One thing asked of the provider for one order: `authorize-1`, `capture-1`, `void-1`, `refund-2`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId {
    /// What is asked.
    pub kind: OperationKind,
    /// Counts the operations of this kind within the order, from 1.
    pub number: u16,
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.as_str(), self.number)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for OperationId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const PROBLEM: &str = "must be an operation id such as capture-1";
        let (kind, number) = text.split_once('-').ok_or(PROBLEM)?;
        let kind = match kind {
            "authorize" => OperationKind::Authorize,
            "capture" => OperationKind::Capture,
            "void" => OperationKind::Void,
            "refund" => OperationKind::Refund,
            _ => return Err(PROBLEM),
        };
        let number = number.parse().map_err(|_| PROBLEM)?;
        Ok(Self { kind, number })
    }
}

impl Serialize for OperationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OperationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The key under which the provider de-duplicates: the same key is the same request, for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PaymentKey {
    /// The order paid for.
    pub order_id: OrderId,
    /// The operation within it.
    pub operation: OperationId,
    /// Rises only after a definite refusal of the attempt before.
    pub attempt: u16,
}

/// `ord_…/capture-1/1`
impl fmt::Display for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.order_id, self.operation, self.attempt)
    }
}

/// Why a provider said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The provider or the bank declined, without a closer reason.
    Declined,
    /// Not enough money on the account.
    InsufficientFunds,
    /// The authorization is no longer held: its time was over.
    AuthorizationExpired,
    /// The authorization was voided before.
    Voided,
    /// The authorization was captured before, so it cannot be voided.
    AlreadyCaptured,
    /// The provider does not know the payment.
    NotFound,
    /// The request itself was refused, for instance as its amount is too high.
    Invalid,
}

impl DeclineReason {
    /// The name in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::AuthorizationExpired => "authorization_expired",
            Self::Voided => "voided",
            Self::AlreadyCaptured => "already_captured",
            Self::NotFound => "not_found",
            Self::Invalid => "invalid",
        }
    }
}

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// To be done. It may be under way, or done with its answer lost.
    Due,
    /// Asked, but the answer is not known. Nothing else is asked for this order until it is.
    Unknown,
    /// Done.
    Succeeded,
    /// Refused by the provider, for good.
    Refused,
    /// No longer wanted: something else ended the order first.
    Superseded,
    /// Refused or unresolved for too long, and wanted all the same; waits for a person.
    Stuck,
}

/// One thing asked of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which.
    pub id: OperationId,
    /// In minor units of the order's currency.
    pub amount_minor: i64,
    /// Part of the provider's key.
    pub attempt: u16,
    /// How far it has come.
    pub state: OperationState,
    /// Whether the last answer to this attempt was a definite refusal, so that the next try is a new attempt.
    pub refused: bool,
    /// When the present state began.
    pub since: Timestamp,
}

/// The money of one order. Amounts are in minor units of the order's currency.
///
/// `authorized = held + captured + voided + expired` and `captured = kept + refunded`; `held` and `kept` are derived.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payment {
    /// Ever held on the customer's account.
    pub authorized: i64,
    /// Taken.
    pub captured: i64,
    /// Let go of by us.
    pub voided: i64,
    /// Let go of by the provider, as its time was over.
    pub expired: i64,
    /// Given back.
    pub refunded: i64,
    /// The provider's name of the authorization; captures, voids and refunds refer to it.
    pub authorization: Option<ProviderRef>,
    /// Whether the authorization still holds money: neither captured, voided nor expired. Says so for an order that costs nothing
    /// as well, whose amounts are all zero.
    #[serde(default)]
    pub authorization_open: bool,
    /// Everything asked of the provider, oldest first.
    pub operations: Vec<Operation>,
}

impl Payment {
    /// Still held on the customer's account.
    #[must_use]
    pub const fn held(&self) -> i64 {
        self.authorized - self.captured - self.voided - self.expired
    }

    /// Taken and not given back.
    #[must_use]
    pub const fn kept(&self) -> i64 {
        self.captured - self.refunded
    }

    /// Asked to be given back and not yet known to be. A refund that a person has dealt with counts for ever: the money may have
    /// gone back by another way, and must not go twice.
    #[must_use]
    pub fn refunds_pending(&self) -> i64 {
        let counts = |operation: &&Operation| operation.is_open() || operation.state == OperationState::Superseded;
        self.operations
            .iter()
            .filter(|operation| operation.id.kind == OperationKind::Refund)
            .filter(counts)
            .map(|operation| operation.amount_minor)
            .sum()
    }

    /// The operation of this id.
    #[must_use]
    pub fn operation(&self, id: OperationId) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// The newest operation of this kind.
    #[must_use]
    pub fn last(&self, kind: OperationKind) -> Option<&Operation> {
        self.operations.iter().rev().find(|operation| operation.id.kind == kind)
    }

    /// The id the next operation of this kind gets.
    #[must_use]
    pub fn next_id(&self, kind: OperationKind) -> OperationId {
        let number = self.last(kind).map_or(1, |operation| operation.id.number.saturating_add(1));
        OperationId { kind, number }
    }

    /// What to ask of the provider now: an unknown answer first, then what is due, oldest first.
    #[must_use]
    pub fn due(&self) -> Option<&Operation> {
        let in_state = |state| self.operations.iter().find(move |operation| operation.state == state);
        in_state(OperationState::Unknown).or_else(|| in_state(OperationState::Due))
    }

    /// Adds an operation that is to be done.
    pub(crate) fn request(&mut self, id: OperationId, amount_minor: i64, at: Timestamp) {
        let state = OperationState::Due;
        self.operations.push(Operation { id, amount_minor, attempt: 1, state, refused: false, since: at });
    }

    /// Moves an operation on; an unknown id is left alone.
    pub(crate) fn set_state(&mut self, id: OperationId, state: OperationState, at: Timestamp) {
        if let Some(operation) = self.operations.iter_mut().find(|operation| operation.id == id) {
            operation.state = state;
            operation.since = at;
        }
    }

    /// Gives up what is due of this kind and was not asked with an unknown answer.
    pub(crate) fn supersede(&mut self, kind: OperationKind, at: Timestamp) {
        for operation in &mut self.operations {
            let waiting = matches!(operation.state, OperationState::Due | OperationState::Stuck);
            if operation.id.kind == kind && waiting {
                operation.state = OperationState::Superseded;
                operation.since = at;
            }
        }
    }

    /// One operation ended the authorization. Nothing can come of any other capture or void of it: what they would be answered
    /// follows from the provider's terminal state.
    pub(crate) fn close_authorization(&mut self, by: OperationId, state: OperationState, at: Timestamp) {
        self.authorization_open = false;
        for operation in &mut self.operations {
            let moot = matches!(operation.id.kind, OperationKind::Capture | OperationKind::Void) && operation.is_open();
            if operation.id != by && moot {
                operation.state = OperationState::Superseded;
                operation.since = at;
            }
        }
        self.set_state(by, state, at);
    }
}

impl Operation {
    /// Whether something may still come of it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, OperationState::Due | OperationState::Unknown | OperationState::Stuck)
    }

    /// The provider's key for the present attempt.
    #[must_use]
    pub const fn key(&self, order_id: OrderId) -> PaymentKey {
        PaymentKey { order_id, operation: self.id, attempt: self.attempt }
    }
}

/// A request to the provider, complete: what the payments role sends for an order's due operation.
#[derive(Debug, Clone)]
pub struct PaymentRequest {
    /// The provider's key.
    pub key: PaymentKey,
    /// How much.
    pub amount: crate::money::Money,
    /// How the customer pays.
    pub method: crate::id::PaymentMethod,
    /// The authorization this refers to; `None` only for an authorize.
    pub authorization: Option<ProviderRef>,
    /// Whether this very key was sent before without a known answer.
    pub unresolved: bool,
}

/// What the payments role has to ask of the provider for this order now, or `None`.
#[must_use]
pub fn due_request(order: &Order) -> Option<PaymentRequest> {
    let operation = order.payment.due()?;
    Some(PaymentRequest {
        key: operation.key(order.id),
        amount: crate::money::Money { amount_minor: operation.amount_minor, currency: order.placement.total.currency },
        method: order.placement.payment_method.clone(),
        authorization: order.payment.authorization.clone(),
        unresolved: operation.state == OperationState::Unknown,
    })
}
