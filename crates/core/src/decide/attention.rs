//! Asking a person, and the person's answer.

use crate::decide::Decision;
use crate::event::{AttentionCleared, AttentionRaised, Event, Remedy};
use crate::id::clip_text;
use crate::limits::TEXT_CHARS_MAX;
use crate::mail::MailState;
use crate::order::Order;
use crate::payment::OperationState;
use crate::process::Step;
use crate::refusal::Refusal;

pub(super) fn event(step: Step, reason: &str) -> Event {
    Event::OrderAttention(AttentionRaised { step, reason: clip_text(reason, TEXT_CHARS_MAX) })
}

/// A role gave up. Raised once per step until a person has dealt with it, however many steps there are.
pub(super) fn raise(order: &Order, step: Step, reason: &str) -> Decision {
    if order.attention_steps.contains(&step) {
        return Decision::unchanged(order.id);
    }
    Decision::order(order.id, vec![event(step, reason)])
}

/// Retry sets everything that is stuck going again; resolve leaves it as it is. An undecided order can be retried or cancelled,
/// not resolved: somebody still has to decide it.
pub(super) fn clear(order: &Order, remedy: Remedy, note: Option<&str>) -> Result<Decision, Refusal> {
    let stuck = order.payment.operations.iter().any(|operation| operation.state == OperationState::Stuck)
        || order.mails.iter().any(|mail| mail.state == MailState::Failed);
    if order.attention.is_none() && !stuck {
        return Err(Refusal::NoAttention);
    }
    if remedy == Remedy::Resolved && order.status.is_undecided() {
        return Err(Refusal::NotResolvable { status: order.status });
    }
    let cleared = AttentionCleared { remedy, note: note.map(|note| clip_text(note, TEXT_CHARS_MAX)) };
    Ok(Decision::order(order.id, vec![Event::OrderAttentionCleared(cleared)]))
}
