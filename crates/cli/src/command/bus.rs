//! `ordermill bus …`: a look into the channels, their messages, and how far each role is behind.

use anyhow::Result;
use ordermill_client::{Channel, Client, Event};

use super::order::event_line;
use super::{Global, ServerArgs, block_on};
use crate::exit::Exit;
use crate::output::{self, Align, count};

/// Arguments of `bus`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the channels: who reads each, how far behind, and what was given up.
    List,
    /// Show the newest messages of a channel or a dead-letter channel, and go on with those that come, until Ctrl-C.
    Tail {
        /// The channel
        channel: String,
        /// Begin with this many of those that are there
        #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=500))]
        last: u16,
        /// End when those are shown
        #[arg(long)]
        no_follow: bool,
    },
    /// Show messages of a channel or a dead-letter channel from its beginning, without taking them from anybody.
    Peek {
        /// The channel
        channel: String,
        #[command(flatten)]
        pages: super::pages::PageArgs,
        /// Show the whole messages instead of a line each
        #[arg(long)]
        full: bool,
    },
}

/// Runs one of them.
pub fn run(args: Args, global: &Global) -> Result<Exit> {
    let client = args.server.client()?;
    block_on(async {
        match args.command {
            Command::List => list(&client.channels().await?, global)?,
            Command::Tail { channel, last, no_follow } => tail(&client, &channel, last, !no_follow, global).await?,
            Command::Peek { channel, pages, full } => {
                let listed = pages
                    .gather(async |cursor, limit| {
                        client.messages(&channel, cursor, limit).await.map(|page| (page.messages, page.next))
                    })
                    .await?;
                peek(&listed.entries, full, global)?;
                super::pages::hint(listed.is_more, global)?;
            }
        }
        Ok(Exit::Ok)
    })
}

fn list(channels: &[Channel], global: &Global) -> Result<()> {
    if global.json {
        output::json_lines(channels)?;
        return Ok(());
    }
    let columns = [
        ("channel", Align::Left),
        ("role", Align::Left),
        ("lag", Align::Right),
        ("parked", Align::Right),
        ("oldest", Align::Left),
        ("dead letters", Align::Right),
        ("dead-letter channel", Align::Left),
    ];
    output::table(&columns, channels.iter().flat_map(rows).collect())?;
    Ok(())
}

/// One row for each role that reads the channel; what belongs to the channel stands in its first.
fn rows(channel: &Channel) -> Vec<Vec<String>> {
    let readers: Vec<[String; 4]> = match channel.consumers.as_slice() {
        [] => vec![["nobody".to_owned(), String::new(), String::new(), String::new()]],
        consumers => consumers
            .iter()
            .map(|consumer| {
                let oldest = consumer.oldest.map(output::moment).unwrap_or_default();
                [consumer.role.clone(), count(consumer.lag), count(consumer.parked), oldest]
            })
            .collect(),
    };
    let rows = readers.into_iter().enumerate().map(|(index, [role, lag, parked, oldest])| {
        let of_channel = |text: String| if index == 0 { text } else { String::new() };
        vec![
            of_channel(channel.name.clone()),
            role,
            lag,
            parked,
            oldest,
            of_channel(count(channel.dead_letters)),
            of_channel(channel.dead_letter_channel.clone()),
        ]
    });
    rows.collect()
}

fn peek(messages: &[Event], full: bool, global: &Global) -> Result<()> {
    if global.json {
        output::json_lines(messages)?;
    } else if full {
        messages.iter().try_for_each(|message| anyhow::Ok(output::line(serde_json::to_string_pretty(message)?)?))?;
    } else {
        messages.iter().try_for_each(print)?;
    }
    Ok(())
}

async fn tail(client: &Client, channel: &str, last: u16, follow: bool, global: &Global) -> Result<()> {
    let show = |message: &Event| if global.json { output::json(message) } else { print(message) };
    let page = client.last_messages(channel, usize::from(last)).await?;
    page.messages.iter().try_for_each(show)?;
    if !follow {
        return Ok(());
    }
    let mut live = client.tail(channel, page.next.as_deref());
    loop {
        show(&live.next().await?)?;
    }
}

fn print(message: &Event) -> std::io::Result<()> {
    output::line(line(message))
}

/// One message: when, about what, what happened, the plain fields of what it says, and why it was given up.
fn line(message: &Event) -> String {
    let text = |value: &serde_json::Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let subject = message.other.get("subject").and_then(|subject| subject.as_str()).unwrap_or_default();
    let mut line = format!("{}  {subject:<36}  {}", output::moment(message.time), event_line(message));
    if let Some(letter) = message.other.get("dead_letter") {
        line.push_str(&format!(", given up by {}: {}", text(letter, "role"), text(letter, "reason")));
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_has_a_row_for_each_of_its_readers() {
        let channel = |consumers: serde_json::Value| -> Channel {
            serde_json::from_value(serde_json::json!({
                "name": "order_queue", "dead_letter_channel": "order_queue_dead_letter", "event_types": ["order.placed"],
                "consumers": consumers, "dead_letters": 2,
            }))
            .expect("a channel")
        };
        let consumers = serde_json::json!([
            { "role": "payments", "lag": 1200, "parked": 1, "oldest": "2026-01-01T00:00:00Z" },
            { "role": "archive", "lag": 0, "parked": 0 },
        ]);
        let two = rows(&channel(consumers));
        assert_eq!((two.len(), &*two[0][0], &*two[0][2], &*two[0][5]), (2, "order_queue", "1,200", "2"));
        assert_eq!((&*two[1][0], &*two[1][1], &*two[1][4]), ("", "archive", ""));
        assert_eq!(rows(&channel(serde_json::json!([])))[0][1], "nobody");
    }
    #[test]
    fn a_message_is_one_line_with_why_it_was_given_up() {
        let message: Event = serde_json::from_value(serde_json::json!({
            "id": "1", "type": "order.placed", "time": "2026-01-01T00:00:00Z", "subject": "ord_1", "data": { "customer_id": "7" },
            "dead_letter": { "id": 3, "role": "payments", "reason": "cannot be read", "tries": 4 },
        }))
        .expect("a message");
        let line = line(&message);
        assert!(line.contains("ord_1") && line.contains("order.placed"), "{line}");
        assert!(line.ends_with("customer_id 7, given up by payments: cannot be read"), "{line}");
    }
}
