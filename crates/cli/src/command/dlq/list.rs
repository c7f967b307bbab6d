//! `ordermill dlq list`

use std::cmp::Reverse;
use std::collections::BTreeMap;

use anyhow::Result;
use jiff::Timestamp;
use ordermill_client::{Client, DeadLetter, DeadLetterListing};
use serde::Serialize;

use super::{each, reason};
use crate::command::Global;
use crate::command::pages::{self, PageArgs};
use crate::exit::Exit;
use crate::output::{self, Align, count};

/// Arguments of `dlq list`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  ordermill dlq list --group                          what is wrong, and how often
  ordermill dlq list --role archive --reason \"disk\"   what that role gave up for that reason")]
pub struct Args {
    #[command(flatten)]
    pages: PageArgs,
    /// Only what this role gave up: payments, inventory, notifications, tracking, archive, records, relay
    #[arg(long)]
    role: Option<String>,
    /// Only those with this text in their reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Count them by role, type of event and reason, the most first
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    group: bool,
}

/// Lists.
pub async fn run(args: Args, client: &Client, global: &Global) -> Result<Exit> {
    let listing = DeadLetterListing { role: args.role, reason: args.reason };
    if args.group {
        return print_groups(&grouped(client, &listing).await?, global);
    }
    let listed = args
        .pages
        .gather(async |cursor, limit| {
            client.dead_letters(&listing, cursor, limit).await.map(|page| (page.dead_letters, page.next))
        })
        .await?;
    if global.json {
        output::json_lines(&listed.entries)?;
        return Ok(Exit::Ok);
    }
    print(&listed.entries)?;
    pages::hint(listed.is_more, global)?;
    Ok(Exit::Ok)
}

/// Prints a table.
pub fn print(letters: &[DeadLetter]) -> Result<()> {
    let row = |letter: &DeadLetter| {
        vec![
            letter.id.to_string(),
            letter.role.clone(),
            letter.event.kind.clone(),
            letter.event.id.clone(),
            letter.tries.to_string(),
            output::moment(letter.since),
            reason(letter),
        ]
    };
    let columns = [
        ("id", Align::Right),
        ("role", Align::Left),
        ("type", Align::Left),
        ("event", Align::Left),
        ("tries", Align::Right),
        ("since", Align::Left),
        ("reason", Align::Left),
    ];
    Ok(output::table(&columns, letters.iter().map(row).collect())?)
}

/// Dead letters of one cause.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Group {
    role: String,
    event_type: String,
    reason: String,
    count: u64,
    /// When the first of them was given up.
    oldest: Timestamp,
    /// One of them, to look at.
    example: u64,
}

async fn grouped(client: &Client, listing: &DeadLetterListing) -> Result<Vec<Group>> {
    let mut groups = BTreeMap::new();
    each(client, listing, |letter| add(&mut groups, &letter)).await?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| Reverse(group.count));
    Ok(groups)
}

fn add(groups: &mut BTreeMap<(String, String, String), Group>, letter: &DeadLetter) {
    let (role, event_type, reason) = (letter.role.clone(), letter.event.kind.clone(), cause(letter));
    let key = (role.clone(), event_type.clone(), reason.clone());
    let group = Group { role, event_type, reason, count: 0, oldest: letter.since, example: letter.id };
    let group = groups.entry(key).or_insert(group);
    group.count += 1;
    group.oldest = group.oldest.min(letter.since);
}

/// The reason without the id of the one order or record it is about, which would make a group of each.
fn cause(letter: &DeadLetter) -> String {
    let reason = reason(letter);
    match letter.event.id.rsplit_once('/') {
        // Of an id that a caller chose, such as `product/1`, nobody knows what else in the text it is.
        Some((subject, _)) if !subject.contains('/') => reason.replace(subject, "…"),
        _ => reason,
    }
}

fn print_groups(groups: &[Group], global: &Global) -> Result<Exit> {
    if global.json {
        output::json_lines(groups)?;
        return Ok(Exit::Ok);
    }
    let row = |group: &Group| {
        vec![
            count(group.count),
            group.role.clone(),
            group.event_type.clone(),
            output::moment(group.oldest),
            group.example.to_string(),
            group.reason.clone(),
        ]
    };
    let columns = [
        ("count", Align::Right),
        ("role", Align::Left),
        ("type", Align::Left),
        ("oldest", Align::Left),
        ("example", Align::Right),
        ("reason", Align::Left),
    ];
    output::table(&columns, groups.iter().map(row).collect())?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: u64, event: &str, reason: &str) -> DeadLetter {
        serde_json::from_value(serde_json::json!({
            "id": id, "role": "archive", "reason": reason, "tries": 12, "since": "2026-01-01T00:00:00Z",
            "event": { "id": event, "type": "order.confirmed", "time": "2026-01-01T00:00:00Z" },
        }))
        .expect("a dead letter")
    }

    #[test]
    fn letters_of_one_cause_are_one_group() {
        let mut groups = BTreeMap::new();
        for (id, order) in [(3, "ord_1"), (7, "ord_2")] {
            add(&mut groups, &letter(id, &format!("{order}/4"), &format!("archive/{order}.json:\nno space left")));
        }
        add(&mut groups, &letter(9, "ord_3/4", "no such device"));
        let groups: Vec<Group> = groups.into_values().collect();
        let told: Vec<_> = groups.iter().map(|group| (group.count, group.example, group.reason.as_str())).collect();
        assert_eq!(told, [(2, 3, "archive/….json: no space left"), (1, 9, "no such device")]);
    }

    #[test]
    fn an_id_that_a_caller_chose_takes_nothing_out_of_a_reason() {
        assert_eq!(cause(&letter(1, "parcel/e/1", "the ledger is gone")), "the ledger is gone");
    }
}
