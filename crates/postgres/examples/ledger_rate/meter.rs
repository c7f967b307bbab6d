//! What something takes: time, CPU here and in the server, commits, statements, write-ahead log.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use crate::AnyError;
use crate::shop::cpu_by_thread;

/// Clock ticks in a second, as `/proc` counts them: the same on every Linux.
const TICKS: f64 = 100.0;

/// The server counts what a session did when the session has been quiet for so long, or has ended.
const COUNTED_AFTER: Duration = Duration::from_millis(1_500);

/// A stretch of work that is measured.
pub struct Meter {
    client: Client,
    began: Instant,
    before: Counts,
}

/// What has been counted so far.
struct Counts {
    /// CPU seconds of this process's threads, by name.
    cpu: BTreeMap<String, f64>,
    /// CPU seconds of the server; 0 where it runs elsewhere.
    server_cpu: f64,
    /// By the database: commits, statements (0 where nobody counts them), bytes of write-ahead log.
    database: [f64; 3],
}

impl Meter {
    /// Begins now.
    pub async fn start(server: &tokio_postgres::Config) -> Result<Self, AnyError> {
        let (client, connection) = server.connect(NoTls).await?;
        tokio::spawn(connection);
        // Where it cannot be, statements are not counted.
        let _ = client
            .batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset()")
            .await;
        tokio::time::sleep(COUNTED_AFTER).await;
        let before = Counts::now(&client).await?;
        Ok(Self { client, began: Instant::now(), before })
    }

    /// Prints the rate, and what one of them took.
    pub async fn report(self, what: &str, count: usize) -> Result<(), AnyError> {
        let (count, seconds) = (count as f64, self.began.elapsed().as_secs_f64());
        let cpu = (cpu_by_thread(), server_cpu(&self.client).await?);
        tokio::time::sleep(COUNTED_AFTER).await;
        let after = Counts::now(&self.client).await?;
        println!("{what}: {:.0} orders a second ({count} in {seconds:.2} s)", count / seconds);
        let of = |before: f64, after: f64| (after - before) / count;
        let mut all = 0.0;
        for (name, seconds) in cpu.0 {
            let micros = of(self.before.cpu.get(&name).copied().unwrap_or(0.0), seconds) * 1e6;
            all += micros;
            if micros >= 1.0 {
                println!("  {name:22} {micros:7.1} us of CPU per order");
            }
        }
        let server = of(self.before.server_cpu, cpu.1) * 1e6;
        println!("  {:22} {server:7.1} us of CPU per order; {:.1} together", "server", server + all);
        let [commits, statements, bytes] =
            [0, 1, 2].map(|index| of(self.before.database[index], after.database[index]));
        println!("  {commits:.3} commits, {statements:.2} statements, {bytes:.0} bytes of log per order");
        self.statements(count).await
    }

    /// Prints the statements that took the server the longest, where it counts them.
    async fn statements(&self, count: f64) -> Result<(), AnyError> {
        let sql = "SELECT calls::float8, total_exec_time, rows::float8, wal_bytes::float8,
                          substring(regexp_replace(query, '\\s+', ' ', 'g') FOR 90)
                   FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 14";
        let Ok(rows) = self.client.query(sql, &[]).await else { return Ok(()) };
        for row in rows {
            let [calls, time, found, log] = [0, 1, 2, 3].map(|index| row.get::<_, f64>(index) / count);
            let query: &str = row.get(4);
            println!("    {:6.1} us {log:7.0} bytes {found:6.2} rows {calls:6.3} calls: {query}", time * 1e3);
        }
        Ok(())
    }
}

impl Counts {
    async fn now(client: &Client) -> Result<Self, AnyError> {
        let sql = "SELECT (SELECT sum(xact_commit) FROM pg_stat_database)::float8, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8";
        let row = client.query_one(sql, &[]).await?;
        let statements = client.query_one("SELECT coalesce(sum(calls), 0)::float8 FROM pg_stat_statements", &[]).await;
        let statements = statements.map_or(0.0, |row| row.get(0));
        Ok(Self {
            cpu: cpu_by_thread(),
            server_cpu: server_cpu(client).await?,
            database: [row.get(0), statements, row.get(1)],
        })
    }
}

/// CPU seconds of the server so far, its processes that have ended included; 0 where it runs elsewhere.
async fn server_cpu(client: &Client) -> Result<f64, AnyError> {
    let backend: i32 = client.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    let Some(server) = stat_of(&backend.to_string()).filter(|stat| stat.name == "postgres").map(|stat| stat.parent)
    else {
        return Ok(0.0);
    };
    let of_server = stat_of(&server).map_or(0.0, |stat| stat.own + stat.ended);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.filter_map(|process| stat_of(process.file_name().to_str()?));
    Ok(of_server + stats.filter(|stat| stat.parent == server).map(|stat| stat.own).sum::<f64>())
}

/// A process: CPU seconds of its own, and of its children that have ended.
struct Stat {
    name: String,
    parent: String,
    own: f64,
    ended: f64,
}

fn stat_of(pid: &str) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let seconds = |index: usize| {
        Some((fields.get(index)?.parse::<f64>().ok()? + fields.get(index + 1)?.parse::<f64>().ok()?) / TICKS)
    };
    let name = head.split_once('(')?.1.to_owned();
    Some(Stat { name, parent: (*fields.get(1)?).to_owned(), own: seconds(11)?, ended: seconds(13)? })
}
