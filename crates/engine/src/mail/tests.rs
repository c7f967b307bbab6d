#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use ordermill_core::event::Placement;
use ordermill_core::id::{CustomerId, OrderId, PaymentMethod, ProductId};
use ordermill_core::idempotency::Fingerprint;
use ordermill_core::mail::MailState;
use ordermill_core::money::Currency;
use ordermill_core::order::Line;

use super::*;

fn order(lines: usize) -> Order {
    let line = |index: usize| Line {
        product_id: ProductId::new(&format!("P{index}")).unwrap(),
        quantity: 2,
        unit_price_minor: 1050,
    };
    let placement = Placement {
        order_ref: None,
        customer_id: CustomerId::new("c1").unwrap(),
        customer_email: None,
        payment_method: PaymentMethod::new("ok").unwrap(),
        shipping_address: None,
        lines: (0..lines).map(line).collect(),
        total: Money { amount_minor: 2100 * lines as i64, currency: Currency::USD },
        placed_at: None,
        metadata: None,
        correlation_id: None,
        traceparent: None,
        fingerprint: Fingerprint([0; 16]),
    };
    Order::place(OrderId::from_bytes([7; 16]), Arc::new(placement), Timestamp::UNIX_EPOCH)
}

fn render(templates: &Templates, order: &Order, kind: MailKind, name: &str) -> Mail {
    let names = vec![Box::from(name); order.placement.lines.len()];
    let owed = OwedMail { kind, version: 1, state: MailState::Due };
    let to = Email::new("a@example.com").unwrap();
    templates.render(order, owed, &to, &names, Timestamp::UNIX_EPOCH).unwrap()
}

use ordermill_core::money::Money;

#[test]
fn every_kind_has_a_subject_a_text_and_html() {
    let templates = Templates::load(None).unwrap();
    for kind in MailKind::ALL {
        let mail = render(&templates, &order(2), kind, "Tea");
        assert!(mail.subject.contains("ord_0707"), "{kind:?}: {}", mail.subject);
        assert!(mail.text.len() > 40 && !mail.text.starts_with('\n'), "{kind:?}: {:?}", mail.text);
        assert!(mail.html.contains("</html>"), "{kind:?}");
    }
}

#[test]
fn the_confirmation_names_what_was_ordered() {
    let templates = Templates::load(None).unwrap();
    let mail = render(&templates, &order(2), MailKind::Confirmed, "Tea");
    assert!(mail.text.contains("2 x Tea at 10.50 USD"), "{}", mail.text);
    assert!(mail.text.contains("Total: 42.00 USD\n\nWe will write again"), "{}", mail.text);
}

#[test]
fn names_cannot_break_out_of_the_html() {
    let templates = Templates::load(None).unwrap();
    let mail = render(&templates, &order(1), MailKind::Confirmed, "<script>alert(1)</script>");
    assert!(!mail.html.contains("<script>"), "{}", mail.html);
    assert!(mail.text.contains("<script>"), "the text part shows the name as it is");
}

#[test]
fn a_long_order_is_cut_in_the_mail() {
    let templates = Templates::load(None).unwrap();
    let mail = render(&templates, &order(161), MailKind::Confirmed, "Tea");
    assert!(mail.text.contains("and 111 more lines"));
}

#[test]
fn an_operators_template_replaces_the_built_in_one_and_faults_are_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shipped.txt"), "On its way: {{ order_number }}\n\nSoon.").unwrap();
    let templates = Templates::load(Some(folder.path())).unwrap();
    let mail = render(&templates, &order(1), MailKind::Shipped, "Tea");
    assert!(mail.subject.starts_with("On its way: ord_"));
    assert_eq!(mail.text, "Soon.");
    std::fs::write(folder.path().join("shipped.txt"), "{{ broken").unwrap();
    let error = Templates::load(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("shipped.txt"), "{error}");
}

#[test]
fn a_folder_that_is_not_there_or_holds_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("tmpl");
    let error = Templates::load(Some(&missing)).unwrap_err().to_string();
    assert!(error.contains("tmpl cannot be read: No such file"), "{error}");
    std::fs::write(folder.path().join(".swp"), "an editor's").unwrap();
    assert!(Templates::load(Some(folder.path())).is_ok());
    std::fs::write(folder.path().join("confirmd.txt"), "Yours: {{ order_number }}\n\nSoon.").unwrap();
    let error = Templates::load(Some(folder.path())).unwrap_err().to_string();
    assert!(error.contains("confirmd.txt is no mail template") && error.contains("confirmed.txt, "), "{error}");
}
