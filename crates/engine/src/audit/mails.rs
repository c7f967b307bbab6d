//! The mail store against the mails that the ledger says were sent.

use ordermill_core::id::OrderId;
use ordermill_core::invariant::Invariant;
use ordermill_core::mail::{MailKind, message_id};
use ordermill_ports::audit::{AuditError, StoredMail};

use super::ReadMails;
use super::books::{Books, Expected, ExpectedMail};
use super::recheck::Suspects;
use super::report::{Finding, Phase, Report};

/// Which mail it is, by its Message-ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MailName {
    pub(super) order_id: OrderId,
    pub(super) kind: MailKind,
    pub(super) version: u16,
}

impl MailName {
    /// Reads what [`message_id`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('<')?.split_once('@')?.0.split('.');
        let order_id = parts.next()?.parse().ok()?;
        let kind_name = parts.next()?;
        let kind = MailKind::ALL.into_iter().find(|kind| kind.as_str() == kind_name)?;
        let version = parts.next()?.parse().ok()?;
        (message_id(order_id, kind, version) == text).then_some(Self { order_id, kind, version })
    }

    pub(super) fn find_in<'a>(&self, mails: &'a mut [ExpectedMail]) -> Option<&'a mut ExpectedMail> {
        mails.iter_mut().find(|mail| mail.kind == self.kind && mail.version == self.version)
    }
}

/// Every mail that was sent is in the store once, and no other is. In a mail file that goes for what lies before the committed
/// end: the rest was never committed and is cut off by whoever opens the file next.
pub(super) fn compare(
    read: &mut ReadMails<'_>,
    mailbox_end: Option<u64>,
    books: &mut Books,
    report: &mut Report<'_>,
    suspects: &mut Suspects,
) -> Result<(), AuditError> {
    report.begin(Phase::Mails, None);
    read(mailbox_end, &mut |mail| {
        report.step();
        if mail.end.is_some_and(|end| mailbox_end.is_none_or(|committed| end > committed)) {
            return Ok(());
        }
        let Some(name) = MailName::parse(&mail.message_id) else {
            let detail = format!("the mail {} in the mail store is none of ours", mail.message_id);
            report.find(Finding::new(Invariant::MailStoreAgrees, detail));
            return Ok(());
        };
        *report.totals.mails.entry(name.kind.as_str()).or_default() += 1;
        if let Some(detail) = misnamed(&mail, name) {
            report.of_order(Invariant::MailStoreAgrees, name.order_id, detail);
        }
        account_for(&mail, name, books, report, suspects);
        Ok(())
    })?;
    for place in books.places() {
        let id = books.id(place);
        for mail in books.mails(place).iter().filter(|mail| mail.expected == Expected::Done && !mail.seen) {
            let detail = format!("its {} mail {} is not in the mail store", mail.kind.as_str(), mail.version);
            report.of_order(Invariant::MailStoreAgrees, id, &detail);
        }
    }
    Ok(())
}

/// Whether the mail's other headers name another order or kind than its Message-ID.
fn misnamed(mail: &StoredMail, name: MailName) -> Option<&'static str> {
    if mail.order_id.is_some_and(|id| id != name.order_id) {
        return Some("its mail names another order in its header");
    }
    mail.kind.is_some_and(|kind| kind != name.kind).then_some("its mail names another kind in its header")
}

fn account_for(mail: &StoredMail, name: MailName, books: &mut Books, report: &mut Report<'_>, suspects: &mut Suspects) {
    let id = name.order_id;
    let place = books.find(id);
    if !books.is_comparable(id) {
        return;
    }
    let expected = place.and_then(|place| name.find_in(books.mails_mut(place)));
    match expected {
        Some(expected) if expected.seen => {
            let detail =
                format!("its {} mail {} is in the mail store more than once", name.kind.as_str(), name.version);
            report.of_order(Invariant::MailStoreAgrees, id, &detail);
        }
        Some(expected) if expected.expected == Expected::Done || mail.end.is_none() => expected.seen = true,
        // A file's committed end and the orders are of one moment, so nothing before that end can be news.
        _ if mail.end.is_some() => report_unknown(name, place.is_some(), report),
        _ => suspects.mails.push(name),
    }
}

/// A mail that nothing explains.
pub(super) fn report_unknown(name: MailName, order_exists: bool, report: &mut Report<'_>) {
    let but = if order_exists { "its events do not say that it was sent" } else { "there is no such order" };
    let detail = format!("a {} mail {} is in the mail store, but {but}", name.kind.as_str(), name.version);
    report.of_order(Invariant::MailStoreAgrees, name.order_id, &detail);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_read_back() {
        let order_id = OrderId::from_bytes([3; 16]);
        for kind in MailKind::ALL {
            let name = MailName { order_id, kind, version: 7 };
            assert_eq!(MailName::parse(&message_id(order_id, kind, 7)), Some(name));
        }
    }

    #[test]
    fn what_is_no_message_id_of_ours_is_not_taken_for_one() {
        let id = OrderId::from_bytes([3; 16]);
        let good = message_id(id, MailKind::Refunded, 1);
        for bad in
            ["", "<>", "<a@b>", &good[1..], &good.replace(".1@", ".01@"), &good.replace("ordermill>", "example.com>")]
        {
            assert_eq!(MailName::parse(bad), None, "{bad}");
        }
    }
}
