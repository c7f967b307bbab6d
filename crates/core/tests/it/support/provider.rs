//! A payment provider: keyed, with a state of its own that no answer of ours can change.

use std::collections::BTreeMap;

use ordermill_core::id::{OrderId, ProviderRef};
use ordermill_core::input::PaymentAnswer;
use ordermill_core::payment::{DeclineReason, OperationKind, PaymentKey, PaymentRequest};

/// What became of one order's money at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Hold {
    #[default]
    Nothing,
    Held,
    Captured,
    Voided,
    Expired,
}

/// The provider's books of one order, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Account {
    pub hold: Hold,
    pub amount_minor: i64,
    pub refunded: i64,
}

/// How the provider feels about a request that would be in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    Refusing(DeclineReason),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provider {
    accounts: BTreeMap<OrderId, Account>,
    answers: BTreeMap<PaymentKey, PaymentAnswer>,
}

impl Provider {
    pub fn account(&self, order_id: OrderId) -> Account {
        self.accounts.get(&order_id).copied().unwrap_or_default()
    }

    /// What this key was answered with.
    pub fn answer(&self, key: &PaymentKey) -> Option<&PaymentAnswer> {
        self.answers.get(key)
    }

    /// The hold runs out at the provider, without a word to us.
    pub fn expire(&mut self, order_id: OrderId) {
        if let Some(account) = self.accounts.get_mut(&order_id)
            && account.hold == Hold::Held
        {
            account.hold = Hold::Expired;
        }
    }

    /// Carries out a request, or repeats the first answer to its key.
    pub fn perform(&mut self, request: &PaymentRequest, mood: Mood) -> PaymentAnswer {
        if let Some(answer) = self.answers.get(&request.key) {
            return answer.clone();
        }
        let answer = match self.judge(request, mood) {
            None => PaymentAnswer::Succeeded { provider_ref: provider_ref(&request.key) },
            Some(reason) => PaymentAnswer::Refused { reason },
        };
        self.answers.insert(request.key, answer.clone());
        answer
    }

    fn judge(&mut self, request: &PaymentRequest, mood: Mood) -> Option<DeclineReason> {
        let (kind, amount_minor) = (request.key.operation.kind, request.amount.amount_minor);
        let account = self.accounts.entry(request.key.order_id).or_default();
        let natural = match (kind, account.hold) {
            (OperationKind::Authorize, Hold::Nothing) => None,
            (OperationKind::Authorize, _) => Some(DeclineReason::Invalid),
            (_, Hold::Nothing) => Some(DeclineReason::NotFound),
            (OperationKind::Capture | OperationKind::Void, hold) => match hold {
                Hold::Voided => Some(DeclineReason::Voided),
                Hold::Expired => Some(DeclineReason::AuthorizationExpired),
                Hold::Captured => Some(DeclineReason::AlreadyCaptured),
                Hold::Held if amount_minor != account.amount_minor => Some(DeclineReason::Invalid),
                Hold::Held | Hold::Nothing => None,
            },
            (OperationKind::Refund, Hold::Captured) if account.refunded + amount_minor <= account.amount_minor => None,
            (OperationKind::Refund, _) => Some(DeclineReason::Invalid),
        };
        if natural.is_some() {
            return natural;
        }
        if let Mood::Refusing(reason) = mood {
            // These reasons are facts about the hold, not feelings: they are given when they are true.
            match reason {
                DeclineReason::AuthorizationExpired if account.hold == Hold::Held => account.hold = Hold::Expired,
                DeclineReason::Voided if account.hold == Hold::Held => account.hold = Hold::Voided,
                DeclineReason::AlreadyCaptured if account.hold == Hold::Held => account.hold = Hold::Captured,
                _ => {}
            }
            return Some(reason);
        }
        match kind {
            OperationKind::Authorize => *account = Account { hold: Hold::Held, amount_minor, refunded: 0 },
            OperationKind::Capture => account.hold = Hold::Captured,
            OperationKind::Void => account.hold = Hold::Voided,
            OperationKind::Refund => account.refunded += amount_minor,
        }
        None
    }
}

fn provider_ref(key: &PaymentKey) -> ProviderRef {
    format!("psp-{}-{}", key.operation, key.attempt).parse().expect("a short text is a valid reference")
}
