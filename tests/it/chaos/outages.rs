//! A PostgreSQL server that is killed, shut down and restarted.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::books::assert_in_balance;
use super::load::Load;
use super::plant::{Plant, until};
use crate::profile::{Postgres, event_path};
use crate::support::{Server, Shop, doctor, mails_by_id, wait_for_mails};

/// Every other session with the database.
const OTHERS: &str = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";

/// Ends the server by a signal, and starts it again on the same folder and port.
async fn restart(plant: &Plant, signal: &'static str) {
    let postgres = Arc::clone(&plant.postgres);
    let work = move || {
        postgres.end(signal);
        postgres.start_again();
    };
    spawn_blocking(work).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_may_be_killed_or_shut_down_at_any_time() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for signal in ["KILL", "QUIT", "INT", "KILL"] {
        load.after_more(25).await;
        restart(&plant, signal).await;
    }
    load.after_more(25).await;
    assert!(load.faults_met() > 0, "no client met a server that was gone");
    // Once when it begins, and once when it is over, however long it took.
    let told = |what: &str| plant.log("till-1").matches(what).count();
    let lost = told("lost the connection for notifications and leases");
    assert!((1..=8).contains(&lost), "told {lost} times of 4 outages");
    until("it is told that they are over", async || {
        told("the connection for notifications and leases is back") == lost
    })
    .await;
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_session_may_be_killed_which_ends_all() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    for _ in 0..3 {
        load.after_more(25).await;
        // One that has just committed, or is about to: the latest at work.
        let sql = format!("SELECT pid {OTHERS} AND backend_type = 'client backend' ORDER BY state_change DESC LIMIT 1");
        let pid: i32 = plant.session().await.query_one(&sql, &[]).await.unwrap().get(0);
        assert!(plant.postgres.signal(u32::try_from(pid).unwrap(), "KILL"), "it was there");
        // The server ends all others, and comes back by itself.
        load.after_more(10).await;
    }
    assert_in_balance(&plant, &load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_may_be_ended_all_the_time() {
    let plant = Plant::start(&[]).await;
    let load = Load::start(&plant.fronts(), 4, 5_000);
    let session = plant.session().await;
    for _ in 0..30 {
        session.query(&format!("SELECT pg_terminate_backend(pid) {OTHERS}"), &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    load.after_more(25).await;
    assert_in_balance(&plant, &load.finish().await).await;
}

/// Holds every mail's commit back as it writes its event, until the lock is let go of.
const HOLD_MAIL: &str = "
    CREATE FUNCTION ordermill.hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END';
    CREATE TRIGGER hold BEFORE INSERT ON ordermill.events FOR EACH ROW WHEN (NEW.type = 'notification.sent')
        EXECUTE FUNCTION ordermill.hold()";

async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A process of all roles, with the default mail file, writes a mail, and its commit waits on the server for a standby. It is killed, and
/// another opens the file before the commit is through.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_whose_commit_outlives_its_process_stays_in_the_mail_file() {
    let postgres = Postgres::start(&[]);
    let url = postgres.url("postgres");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let settings = "[postgres]\nanswer_max = \"120s\"\nlease = \"10s\"\n";
    std::fs::write(data.join("ordermill.toml"), format!("ledger = \"{url}\"\n{}\n{settings}", event_path())).unwrap();
    let mut server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1_000, 10).await;
    let (holder, session) = (connect(&url).await, connect(&url).await);
    holder.batch_execute(HOLD_MAIL).await.unwrap();
    holder.batch_execute("SELECT pg_advisory_lock(7)").await.unwrap();
    let order = shop.post("/v1/orders", Shop::order("P1", 1)).await.order_id();
    let count = async |what: &str| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE {what}");
        session.query_one(&sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    until("a mail's commit is at work", async || count("wait_event = 'advisory'").await == 1).await;
    wait_for_mails(&data, 1);
    // From now on commits wait for a standby that is not there.
    session.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.unwrap();
    session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let standby = "wait_event = 'SyncRep' AND application_name NOT LIKE 'ordermill%'";
    until("commits wait for a standby", async || {
        let probe = connect(&url).await;
        tokio::spawn(async move { probe.batch_execute("SELECT pg_logical_emit_message(true, 'probe', '')").await });
        count(standby).await > 0
    })
    .await;
    holder.batch_execute("SELECT pg_advisory_unlock(7)").await.unwrap();
    let mailing = "wait_event = 'SyncRep' AND application_name LIKE 'ordermill%' AND query = 'COMMIT'";
    until("the mail's commit waits for a standby", async || count(mailing).await > 0).await;
    server.kill();
    let log = server.log_text().len();
    let path = data.clone();
    let starting = spawn_blocking(move || Server::start(&path));
    // It opens the file now, or says that it waits.
    until("another process starts", async || {
        let said = server.log_text().split_off(log);
        said.contains("ready on") || said.contains("the mail file waits")
    })
    .await;
    session.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.unwrap();
    session.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let server = starting.await.unwrap();
    Shop::of(&server).wait_for_event(&order, "notification.sent").await;
    let mails = mails_by_id(&data);
    assert!(mails.len() == 1 && mails.values().all(|count| *count == 1), "{mails:?}");
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}
