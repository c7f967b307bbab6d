//! A PostgreSQL server of the tests' own: in a temporary folder, on a free loopback port, gone when the program is.
//!
//! Needs the standard library and `tempfile` alone, so that any test program can include it by its path.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Starting takes a second or two; this is for a machine with much else to do.
const START_TIME_MAX: Duration = Duration::from_secs(90);

/// A port that was free a moment ago may be taken by now: then another is tried.
const PORTS_TRIED: u32 = 5;

/// Who runs the server where the tests run as root, which PostgreSQL refuses: the first of these that the machine has.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Makes the cluster, runs the server, says its process id, and ends it when the standard input ends: that is when the program
/// that started this does, in whichever way. Arguments: the folder of PostgreSQL's programs, our folder, the port, then settings.
const SUPERVISOR: &str = r#"
programs=$1 home=$2 port=$3
shift 3
# A terminal interrupts all of us; what is left behind is to be removed all the same.
trap "" INT HUP
cd "$home" || exit 1
"$programs/initdb" --pgdata=cluster --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >server.log 2>&1 || exit 1
"$programs/postgres" -D cluster -k "$home" -p "$port" -c listen_addresses=127.0.0.1 "$@" >>server.log 2>&1 </dev/null &
server=$!
echo "$server"
exec >&-
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$home"
"#;

/// A running server. It ends when this is dropped, or with the program, also by a panic or a signal: its supervisor sees the end of
/// its input.
#[derive(Debug)]
pub struct Server {
    port: u16,
    pid: u32,
    supervisor: Child,
    home: TempDir,
}

impl Server {
    /// Starts a server with these settings beside the usual ones: `["max_connections=20"]`.
    ///
    /// # Panics
    /// When PostgreSQL is not there, with what to install, or does not start, with what it said.
    pub fn start(settings: &[&str]) -> Self {
        let programs =
            programs().expect("no PostgreSQL on the PATH or below /usr/lib/postgresql: install the package postgresql");
        for _ in 0..PORTS_TRIED {
            match Self::start_at(&programs, free_port(), settings) {
                Ok(server) => return server,
                Err(said) if said.contains("could not create any TCP/IP sockets") => {}
                Err(said) => panic!("PostgreSQL does not start:\n{said}"),
            }
        }
        panic!("no free port was found in {PORTS_TRIED} tries")
    }

    fn start_at(programs: &Path, port: u16, settings: &[&str]) -> Result<Self, String> {
        let home = TempDir::with_prefix("ordermill-pg-").expect("a temporary folder can be made");
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            chown(home.path(), Some(uid), Some(gid)).expect("root can give a folder away");
        }
        let mut command = as_user(user, "sh");
        command.args(["-c", SUPERVISOR, "postgres-for-tests"]).arg(programs).arg(home.path()).arg(port.to_string());
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = command.spawn().expect("sh is there, and setpriv of util-linux for root");
        let mut pid = String::new();
        let said = supervisor.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut pid).expect("a pipe can be read");
        let Ok(pid) = pid.trim().parse() else {
            // It ends by itself: there is nothing to supervise.
            let _ = supervisor.wait();
            return Err(log_of(home.path()));
        };
        let server = Self { port, pid, supervisor, home };
        server.wait_until_ready(programs)?;
        Ok(server)
    }

    fn wait_until_ready(&self, programs: &Path) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < START_TIME_MAX {
            let mut probe = Command::new(programs.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string());
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            let said = self.log();
            if said.contains("FATAL") && said.contains("database system is shut down") {
                return Err(said);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it does not answer within {} s\n{}", START_TIME_MAX.as_secs(), self.log()))
    }

    /// The URL of a database of this server, over TCP on the loopback address.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The process id of the server itself.
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// What the server has said.
    fn log(&self) -> String {
        log_of(self.home.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The supervisor sees the end of its input and ends the server.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

fn log_of(home: &Path) -> String {
    fs::read_to_string(home.join("server.log")).unwrap_or_default()
}

/// Runs a program as this user, who is left without any other group.
fn as_user(user: Option<(u32, u32)>, program: &str) -> Command {
    let Some((uid, gid)) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned(), program.to_owned()]);
    command
}

/// User and group to become where we are root; `None` where we are not, or there is no such user.
fn unprivileged_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let mut fields =
            passwd.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    USERS.iter().find_map(|name| ids(name))
}

/// Where the programs of PostgreSQL are: with the newest version below Debian's folder, or on the PATH.
pub fn programs() -> Option<PathBuf> {
    let is_there = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("postgres").exists();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |folder: &PathBuf| folder.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = versions.map(|entry| entry.path().join("bin")).filter(is_there).max_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.or_else(|| std::env::split_paths(&path).find(is_there))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface is there");
    listener.local_addr().expect("a bound socket has an address").port()
}
