//! What came of a mail.

use crate::decide::{Decision, attention};
use crate::event::{Event, MailNotSent, MailSent};
use crate::id::clip_text;
use crate::input::MailResult;
use crate::limits::TEXT_CHARS_MAX;
use crate::mail::{MailKind, MailState};
use crate::order::Order;
use crate::process::Step;

pub(super) fn mail_result(order: &Order, template: MailKind, version: u16, result: &MailResult) -> Decision {
    let due = |mail: &&crate::mail::OwedMail| mail.kind == template && mail.version == version;
    if order.mails.iter().find(due).is_none_or(|mail| mail.state != MailState::Due) {
        return Decision::unchanged(order.id);
    }
    let events = match result {
        MailResult::Sent { mailbox_end } => {
            vec![Event::NotificationSent(MailSent { template, version, mailbox_end: *mailbox_end })]
        }
        MailResult::Skipped => {
            let reason = "the order has no mail address".into();
            vec![Event::NotificationSkipped(MailNotSent { template, version, reason })]
        }
        MailResult::Failed { reason } => {
            let failed = MailNotSent { template, version, reason: clip_text(reason, TEXT_CHARS_MAX) };
            vec![Event::NotificationFailed(failed), attention::event(Step::Notify, reason)]
        }
    };
    Decision::order(order.id, events)
}
