//! What the tables say of each other and ought to agree on.

use ordermill_core::order::Status;
use ordermill_ports::audit::AuditError;

use super::link::Link;
use crate::codec::get;

/// Every disagreement, in words.
pub(super) fn find(link: &Link) -> Result<Vec<String>, AuditError> {
    let mut problems = Vec::new();
    for status in Status::ALL {
        let name = status.as_str();
        let sql = format!("SELECT (SELECT {name} FROM feed_head), count(*) FROM orders WHERE status = '{name}'");
        compare(link, sql, &mut problems, |sum, count| format!("{sum} orders are counted as {name}, and {count} are"))?;
    }
    let sql = "SELECT (SELECT attention FROM feed_head), count(*) FROM orders WHERE attention";
    compare(link, sql.to_owned(), &mut problems, |sum, count| {
        format!("{sum} orders are counted as waiting for a person, and {count} are")
    })?;
    let sql = "SELECT (SELECT position FROM feed_head), count(*) FROM events";
    compare(link, sql.to_owned(), &mut problems, |head, count| {
        format!("the feed ends at {head} and has {count} events")
    })?;
    let sql = "SELECT p.id FROM parcels AS p LEFT JOIN events AS e ON e.position = p.first AND e.subject_kind = 4
                   AND e.subject = convert_to(p.id, 'UTF8') AND e.version = 1
               WHERE e.position IS NULL ORDER BY p.id LIMIT 100";
    for row in link.query(sql.to_owned())? {
        let id: &str = get(&row, 0)?;
        problems.push(format!("the row of parcel {id} does not lead to its first event"));
    }
    Ok(problems)
}

/// Asks for two numbers that ought to be equal.
fn compare(
    link: &Link,
    sql: String,
    problems: &mut Vec<String>,
    say: impl Fn(i64, i64) -> String,
) -> Result<(), AuditError> {
    for row in link.query(sql)? {
        let (one, other): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
        if one != other {
            problems.push(say(one, other));
        }
    }
    Ok(())
}
