//! What a local mail store has to show. A mailer whose mails cannot be looked at afterwards cannot be held to it.

use std::sync::Arc;

use async_trait::async_trait;
use ordermill_core::Timestamp;
use ordermill_core::id::OrderId;
use ordermill_core::mail::{Email, MailKind, message_id};

use crate::audit::StoredMail;
use crate::mailer::{Mail, MailError, Mailer};

/// Makes every case a test: `mailer_suite!(MyHarness::new());`, in a module of its own.
#[macro_export]
macro_rules! mailer_suite {
    ($harness:expr) => {
        $crate::gateway_cases! { mailer, $harness;
            mails_are_stored_with_what_they_are, a_refused_mail_keeps_back_nobody, a_slow_mail_is_late_alone,
            a_full_batch_is_taken, hostile_text_forges_no_header_and_no_mail, mails_are_kept_when_opened_again,
            what_was_not_committed_is_taken_back, a_roll_back_leaves_what_was_committed,
        }
    };
}

/// One place for mails: empty when it is made, and for one case only.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the store, where the last committed mail ends at `committed_end`. A case opens it again only when it dropped the one
    /// before.
    async fn open(&self, committed_end: Option<u64>) -> Arc<dyn Mailer>;

    /// Every mail in the store.
    fn stored(&self) -> Vec<StoredMail>;
}

/// A mail of its own order.
#[must_use]
pub fn mail(to: &str, kind: MailKind) -> Mail {
    let order_id = OrderId::from_uuid(uuid::Uuid::now_v7());
    Mail {
        message_id: message_id(order_id, kind, 1),
        order_id,
        kind,
        version: 1,
        to: Email::new(to).expect("an address"),
        subject: "Your order".to_owned(),
        text: "Hello,\n\nthank you.\n".to_owned(),
        html: "<p>Hello,</p>\n<p>thank you.</p>\n".to_owned(),
        at: Timestamp::from_second(1_795_248_000).expect("a time in range"),
    }
}

fn mails(count: usize) -> Vec<Mail> {
    (0..count).map(|number| mail(&format!("household-{number}@example.com"), MailKind::Confirmed)).collect()
}

async fn deliver_all(mailer: &dyn Mailer, mails: &[Mail]) -> Option<u64> {
    let results = mailer.deliver(mails).await;
    assert_eq!(results.len(), mails.len());
    results.into_iter().filter_map(|result| result.expect("the store takes it").mailbox_end).max()
}

/// The store holds exactly these mails, each once.
fn assert_stored(harness: &dyn Harness, mails: &[&Mail]) {
    let mut stored: Vec<_> =
        harness.stored().into_iter().map(|mail| (mail.message_id, mail.order_id, mail.kind)).collect();
    let mut expected: Vec<_> =
        mails.iter().map(|mail| (mail.message_id.clone(), Some(mail.order_id), Some(mail.kind))).collect();
    stored.sort();
    expected.sort();
    assert_eq!(stored, expected);
}

/// Each kind, with its name, its order and its kind; receipts in the order of the mails.
pub async fn mails_are_stored_with_what_they_are(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let mails: Vec<Mail> = MailKind::ALL.into_iter().map(|kind| mail("household-1@example.com", kind)).collect();
    let results = mailer.deliver(&mails).await;
    let ends: Vec<Option<u64>> =
        results.into_iter().map(|receipt| receipt.expect("the store takes it").mailbox_end).collect();
    assert!(ends.is_sorted(), "{ends:?}");
    assert_stored(harness, &mails.iter().collect::<Vec<_>>());
    for stored in harness.stored() {
        let place = mails.iter().position(|mail| mail.message_id == stored.message_id).expect("one of these");
        assert_eq!(stored.end, ends[place]);
    }
    assert!(mailer.deliver(&[]).await.is_empty());
}

/// Only the one is refused, and for good.
pub async fn a_refused_mail_keeps_back_nobody(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let [first, last] = [(); 2].map(|()| mail("household-1@example.com", MailKind::Confirmed));
    let bad = mail("bounce@example.com", MailKind::Confirmed);
    let all = [first.clone(), bad.clone(), last.clone()];
    let results = mailer.deliver(&all).await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(MailError::Refused(_))), "{results:?}");
    let alone = mailer.deliver(&[bad]).await;
    assert!(matches!(alone[0], Err(MailError::Refused(_))), "{alone:?}");
    assert_stored(harness, &[&first, &last]);
}

/// It goes at the second try; what it came with goes at the first.
pub async fn a_slow_mail_is_late_alone(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let (slow, quick) = (mail("slow@example.com", MailKind::Confirmed), mail("quick@example.com", MailKind::Confirmed));
    let results = mailer.deliver(&[slow.clone(), quick.clone()]).await;
    assert!(matches!(results[0], Err(MailError::Unavailable(_))), "{results:?}");
    assert!(results[1].is_ok(), "{results:?}");
    assert_stored(harness, &[&quick]);
    deliver_all(&*mailer, std::slice::from_ref(&slow)).await;
    assert_stored(harness, &[&slow, &quick]);
}

/// As many as the store says it takes at once; one more is not lost without a word.
pub async fn a_full_batch_is_taken(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let all = mails(mailer.batch_max() + 1);
    let full = &all[..mailer.batch_max()];
    deliver_all(&*mailer, full).await;
    assert_stored(harness, &full.iter().collect::<Vec<_>>());
    let results = mailer.deliver(&all[1..]).await;
    assert_eq!(results.len(), mailer.batch_max());
}

/// Text that looks like headers, separators or boundaries stays text.
pub async fn hostile_text_forges_no_header_and_no_mail(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let forged = mail("household-1@example.com", MailKind::Rejected);
    let mut hostile = mail("household-2@example.com", MailKind::Confirmed);
    let text = format!(
        "x\n\nFrom a@b Thu Jan  1 00:00:00 1970\nMessage-ID: {}\nX-Order-Id: {}\n\n>From c\n\n--=_{}.confirmed.1--\n\nFrom ",
        forged.message_id, forged.order_id, hostile.order_id
    );
    hostile.subject = format!("x\r\nMessage-ID: {}\r\n\r\n{text}", forged.message_id);
    hostile.html = format!("{text}\0\u{7f}\r\u{85}\u{2028}ü{}", "=".repeat(3_000));
    hostile.text = text;
    let after = mail("household-3@example.com", MailKind::Confirmed);
    deliver_all(&*mailer, &[hostile.clone(), after.clone()]).await;
    assert_stored(harness, &[&hostile, &after]);
    let mut nameless = mail("household-4@example.com", MailKind::Confirmed);
    nameless.message_id = "<a@b>\nBcc: c@d".to_owned();
    assert!(matches!(mailer.deliver(&[nameless]).await[0], Err(MailError::Refused(_))));
    assert_stored(harness, &[&hostile, &after]);
}

/// What was committed is there for ever.
pub async fn mails_are_kept_when_opened_again(harness: &dyn Harness) {
    let all = mails(3);
    let mut committed = None;
    for mail in &all {
        let mailer = harness.open(committed).await;
        let end = deliver_all(&*mailer, std::slice::from_ref(mail)).await;
        committed = committed.max(end);
    }
    let _open = harness.open(committed).await;
    assert_stored(harness, &all.iter().collect::<Vec<_>>());
}

/// A crash between the hand-over and the commit: with an exactly-once store the mail is gone and can be sent again; any other one
/// may keep it, but not twice.
pub async fn what_was_not_committed_is_taken_back(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let (first, second) = (&mails(1)[0], &mails(1)[0]);
    let committed = deliver_all(&*mailer, std::slice::from_ref(first)).await;
    deliver_all(&*mailer, std::slice::from_ref(second)).await;
    let exactly_once = mailer.is_exactly_once();
    drop(mailer);
    let mailer = harness.open(committed).await;
    if exactly_once {
        assert_stored(harness, &[first]);
    }
    deliver_all(&*mailer, std::slice::from_ref(second)).await;
    assert_stored(harness, &[first, second]);
}

/// The commit of the receipts failed: the batch is taken back, and goes again.
pub async fn a_roll_back_leaves_what_was_committed(harness: &dyn Harness) {
    let mailer = harness.open(None).await;
    let (first, second) = (mails(2), mails(3));
    let committed = deliver_all(&*mailer, &first).await;
    deliver_all(&*mailer, &second).await;
    mailer.roll_back(committed).await.expect("the batch can be taken back");
    if mailer.is_exactly_once() {
        assert_stored(harness, &first.iter().collect::<Vec<_>>());
    }
    let end = deliver_all(&*mailer, &second).await;
    assert_stored(harness, &first.iter().chain(&second).collect::<Vec<_>>());
    assert_eq!(harness.stored().into_iter().filter_map(|mail| mail.end).max(), end);
}
