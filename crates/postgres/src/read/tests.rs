use std::sync::Arc;

use ordermill_ports::clock::SystemClock;

use super::*;
use crate::Options;
use crate::connect::{Connector, Pool, Tx};

#[path = "../../tests/support/server.rs"]
#[expect(dead_code, reason = "other tests use more of it")]
mod server;

const WRITE: &str = "INSERT INTO written (number) VALUES ($1) RETURNING number";

/// A statement that the server had forgotten was prepared anew and sent again, when the COMMIT that was sent with it had ended the
/// transaction: then it was written alone.
#[tokio::test]
async fn what_a_transaction_could_not_write_is_not_written_behind_it() {
    let server = server::Server::start(&[]);
    let options = Options::from_url(&server.url("postgres"), Arc::new(SystemClock)).expect("a sound URL");
    let pool = Pool::new(&Connector::new(&options).expect("sound options"), &options).expect("sound options");
    let client = pool.writer().await.expect("it answers");
    client.batch_execute("CREATE SCHEMA ordermill; CREATE TABLE written (number bigint)").await.expect("it is empty");
    let numbers = async || {
        let found = rows(&client, "SELECT number FROM written ORDER BY number", &[]).await.expect("it answers");
        found.iter().map(|row| get(row, 0).expect("a number")).collect::<Vec<i64>>()
    };
    let tx = Tx::on(pool.writer().await.expect("it answers"));
    tx.begin().await.expect("it answers");
    tx.prepare_cached(WRITE).await.expect("a sound statement");
    tx.batch_execute("DEALLOCATE ALL").await.expect("it answers");
    let (written, committed) = tokio::join!(biased; rows(&tx, WRITE, &[&1_i64]), tx.commit());
    assert!(written.is_err_and(|error| error.is_stale_statement()));
    committed.expect("a COMMIT that came to nothing is answered all the same");
    assert_eq!(numbers().await, [] as [i64; 0]);
    // The same connection: the transaction that is tried again finds the statement prepared anew.
    tx.over();
    let tx = Tx::on(pool.writer().await.expect("it answers"));
    tx.begin().await.expect("it answers");
    let (written, committed) = tokio::join!(biased; rows(&tx, WRITE, &[&2_i64]), tx.commit());
    assert_eq!((written.expect("it is written").len(), committed.is_ok()), (1, true));
    assert_eq!(numbers().await, [2]);
    tx.over();
    // Outside of a transaction a statement is sent again.
    client.batch_execute("DEALLOCATE ALL").await.expect("it answers");
    assert_eq!(numbers().await, [2]);
}
