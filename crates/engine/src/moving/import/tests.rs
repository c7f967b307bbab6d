//! What a file has to be, and what becomes of the roles' cursors.

use ordermill_core::Timestamp;
use ordermill_core::event::Subject;
use ordermill_core::id::OrderId;
use ordermill_ports::audit::{AuditError, LedgerSnapshot};
use ordermill_ports::moving::{Carry, Ends, LedgerReader, MoveError, MovedEvent, Source, Totals};

use super::*;
use crate::moving::export::{About, export};

/// A ledger of a few events, none of which is looked into.
struct Old {
    backend: &'static str,
    items: Vec<Item>,
}

impl LedgerReader for Old {
    fn source(&self) -> Source {
        Source { backend: self.backend, schema: 2 }
    }

    fn in_use(&self) -> Option<&str> {
        None
    }

    fn counts(&mut self) -> Result<Counts, MoveError> {
        let mut counts = Counts::default();
        self.items.iter().for_each(|item| count(&mut counts, item));
        Ok(counts)
    }

    fn each(&mut self, carry: &mut Carry<'_>) -> Result<(), MoveError> {
        self.items.iter().cloned().try_for_each(carry)
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        Ok(Totals { keys: 7, ..Totals::default() })
    }
}

/// Remembers what is written.
#[derive(Default)]
struct New {
    items: Vec<Item>,
    mark: Option<Mark>,
}

impl LedgerWriter for New {
    fn begin(&mut self, _export: &str) -> Result<Option<Mark>, MoveError> {
        Ok(self.mark)
    }

    fn write(&mut self, items: Vec<Item>, mark: &Mark) -> Result<(), MoveError> {
        self.items.extend(items);
        self.mark = Some(*mark);
        Ok(())
    }

    fn derive(&mut self, _on_progress: &mut dyn FnMut(u64)) -> Result<(), MoveError> {
        Ok(())
    }

    fn totals(&mut self) -> Result<Totals, MoveError> {
        Ok(Totals::default())
    }

    fn snapshot(&self) -> Result<Box<dyn LedgerSnapshot>, AuditError> {
        Err(AuditError("there is nothing to audit".to_owned()))
    }

    fn finish(&mut self) -> Result<(), MoveError> {
        Ok(())
    }
}

fn event(position: u64, kind: EventType) -> Item {
    Item::Event(MovedEvent {
        position,
        subject: Subject::Order(OrderId::from_bytes([7; 16])),
        version: u32::try_from(position).expect("small"),
        kind: kind.name().to_owned(),
        schema: kind.version(),
        at: Timestamp::UNIX_EPOCH,
        cause: None,
        data: format!("{{\"number\": {position},\"text\":\"a\\nb\\u0000 \\\"ä\"}}"),
    })
}

fn cursor(role: Role, positions: &[u64]) -> Item {
    Item::Cursor(MovedCursor { role: role.as_str().to_owned(), positions: positions.to_vec() })
}

fn ledger(backend: &'static str, cursors: Vec<Item>) -> Old {
    let kinds =
        [EventType::OrderPlaced, EventType::PaymentAuthorized, EventType::OrderPlaced, EventType::OrderArchived];
    let mut items: Vec<Item> = (1..).zip(kinds).map(|(position, kind)| event(position, kind)).collect();
    items.extend(cursors);
    items.push(Item::Ends(Ends { mailbox: Some(3), dead_letter: 9 }));
    Old { backend, items }
}

fn file(old: &mut Old) -> Vec<u8> {
    let about = About { export: "one".to_owned(), program: "0".to_owned(), at: Timestamp::UNIX_EPOCH };
    let mut bytes = Vec::new();
    export(old, about, &mut bytes, &mut |_| ()).expect("it can be written");
    bytes
}

fn take(bytes: &[u8], new: &mut New) -> Result<Summary, ImportError> {
    let mut from = bytes;
    let (mut lines, header) = Lines::begin(&mut from)?;
    let mark = new.begin(&header.export)?;
    fill(&mut lines, header, mark, new, &mut |_| ())
}

#[test]
fn what_was_read_is_written() {
    let mut old = ledger("postgres", vec![cursor(Role::Payments, &[2, 3])]);
    let bytes = file(&mut old);
    let summary = check(&mut &bytes[..], &mut |_| ()).expect("it is sound");
    assert_eq!((summary.counts.events, summary.totals.keys), (4, 7));
    let mut new = New::default();
    assert_eq!(take(&bytes, &mut new).expect("it is sound"), summary);
    let relay = new.items.remove(5);
    assert_eq!(relay, Item::Cursor(MovedCursor { role: RELAY.to_owned(), positions: vec![1] }), "inventory has none");
    assert_eq!(new.items, old.items, "the data of events byte for byte");
}

#[test]
fn a_relay_begins_where_the_slowest_role_is() {
    let relay_of = |backend, cursors| {
        let mut new = New::default();
        take(&file(&mut ledger(backend, cursors)), &mut new).expect("it is sound");
        let found = new.items.into_iter().filter_map(|item| match item {
            Item::Cursor(cursor) if cursor.role == RELAY => Some(cursor.positions),
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(relay_of("sqlite", vec![]), [[0]], "payments have not begun with the first");
    let settled = || vec![cursor(Role::Payments, &[3]), cursor(Role::Inventory, &[4])];
    assert_eq!(relay_of("sqlite", settled()), [[3]]);
    let relayed = || settled().into_iter().chain([cursor(Role::Relay, &[2])]).collect();
    assert_eq!(relay_of("postgres", relayed()), [[2]], "what it has not handed on is to be handed on");
    assert_eq!(relay_of("sqlite", relayed()), [[3]], "there nobody moves it");
}

#[test]
fn an_import_goes_on_with_the_same_file_alone() {
    let bytes = file(&mut ledger("sqlite", vec![cursor(Role::Payments, &[3])]));
    let mut from = &bytes[..];
    let (mut lines, _) = Lines::begin(&mut from).expect("it is sound");
    lines.next().expect("an event");
    lines.next().expect("another");
    let mark = lines.mark();
    let mut new = New { items: Vec::new(), mark: Some(mark) };
    take(&bytes, &mut new).expect("it is sound");
    let Some(Item::Event(first)) = new.items.first() else { panic!("an event comes first: {:?}", new.items) };
    assert_eq!((first.position, mark.lines), (3, 3));
    let other = file(&mut ledger("postgres", vec![cursor(Role::Payments, &[3])]));
    let mut new = New { items: Vec::new(), mark: Some(mark) };
    assert!(matches!(take(&other, &mut new), Err(ImportError::OtherFile { lines: 3 })));
    let mut new = New { items: Vec::new(), mark: Some(Mark { lines: 99, ..mark }) };
    assert!(matches!(take(&bytes, &mut new), Err(ImportError::OtherFile { lines: 99 })));
    assert_eq!(new.items, []);
}

#[test]
fn what_is_out_of_order_is_refused() {
    let text = String::from_utf8(file(&mut ledger("sqlite", vec![cursor(Role::Payments, &[3])]))).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let refusal = |lines: &[&str]| {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        check(&mut text.as_bytes(), &mut |_| ()).expect_err("it is not sound").to_string()
    };
    assert!(
        refusal(&[lines[0], lines[2]])
            .starts_with("the export is damaged: line 2: the event at 2 follows the one at 0")
    );
    assert!(refusal(&[lines[0], lines[5], lines[1]]).contains("line 3: it does not belong behind"));
    assert!(refusal(&[lines[0], lines[0]]).contains("line 2: it is a header"));
    assert!(refusal(&[lines[0], lines[7]]).contains("line 2: it speaks of 7 lines"));
    let doubled: Vec<&str> = lines.iter().copied().chain([lines[7]]).collect();
    assert!(refusal(&doubled).contains("line 9: it follows the trailer"));
    assert!(refusal(&[lines[1]]).contains("line 1 is no header"));
    assert!(refusal(&[lines[0], "{\"what\":1}"]).contains("line 2: unknown variant"));
    let cut = &lines[1][..lines[1].len() - 1];
    assert!(refusal(&[lines[0], cut]).ends_with(&format!(" at column {}", cut.len())), "in its own line");
    assert!(refusal(&lines[..7]).contains("cut off: it ends after line 7"));
}
