//! A PostgreSQL server of the tests' own: in a temporary folder, on a free loopback port, gone when the program is.
//!
//! Needs the standard library and `tempfile` alone, so that any test program can include it by its path.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Starting takes a second or two; this is for a machine with much else to do.
const START_TIME_MAX: Duration = Duration::from_secs(90);

/// A port that was free a moment ago may be taken by now: then another is tried.
const PORTS_TRIED: u32 = 5;

/// Who runs the server where the tests run as root, which PostgreSQL refuses: the first of these that the machine has.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// Makes the cluster, runs the server, says its process id, does what it is told line by line, and ends the server when its input
/// ends: that is when the program that started this does, in whichever way. Arguments: the folder of PostgreSQL's programs, our folder,
/// the port, where the write-ahead log goes if not into the cluster, then settings.
const SUPERVISOR: &str = r#"
programs=$1 home=$2 port=$3 wal=$4
shift 4
# A terminal interrupts all of us; what is left behind is to be removed all the same.
trap "" INT HUP
cd "$home" || exit 1
[ ! -d small ] || mkdir -m 700 small/space small/wal || exit 1
"$programs/initdb" --pgdata=cluster --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync \
    ${wal:+"--waldir=$wal" --wal-segsize=1} >server.log 2>&1 || exit 1
begin() {
    "$programs/postgres" -D cluster -k "$home" -p "$port" -c listen_addresses=127.0.0.1 "$@" >>server.log 2>&1 </dev/null &
    server=$!
    echo "$server"
}
begin "$@"
while read -r order signal process; do
    case $order in
        start) begin "$@" ;;
        kill) kill "-$signal" "$process" 2>/dev/null; echo "$?" ;;
        wait) wait "$server"; echo "$?" ;;
        copy) rm -rf copy && "$programs/pg_basebackup" -h "$home" -p "$port" -U postgres -D copy -c fast --no-sync >>server.log 2>&1; echo "$?" ;;
        back) rm -rf cluster && mv copy cluster; echo "$?" ;;
        fill) cat /dev/zero 2>/dev/null >>small/filler; echo "$?" ;;
        room) rm -f small/filler; echo "$?" ;;
    esac
done
kill -QUIT "$server" 2>/dev/null
wait "$server"
cd / && rm -rf "$home"
"#;

/// Runs a command where the folder `small` below our folder is a file system of its own, in memory, of a given size. It is mounted in a
/// namespace of the command's own, so that nothing is left of it. Arguments: our folder, the size, the command.
const SMALL_DISK: &str = r#"mount -t tmpfs -o "size=$2,mode=1777" tmpfs "$1/small" && shift 2 && exec "$@""#;

/// A small disk of the server's own.
#[derive(Debug, Clone, Copy)]
pub struct SmallDisk {
    /// Its size.
    pub mib: u32,
    /// Whether it holds the write-ahead log. Otherwise it is for a tablespace: [`Server::small_space`].
    pub holds_wal: bool,
}

/// A running server. It ends when this is dropped, or with the program, also by a panic or a signal: its supervisor sees the end of
/// its input.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    port: u16,
    pid: AtomicU32,
    supervisor: Mutex<Supervisor>,
    home: TempDir,
}

/// The shell that looks after the server.
#[derive(Debug)]
struct Supervisor {
    shell: Child,
    said: BufReader<ChildStdout>,
}

impl Supervisor {
    /// One line of what it says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a pipe can be read");
        line.trim().to_owned()
    }

    /// Has it do something, and waits for its answer.
    fn tell(&mut self, order: &str) -> String {
        let orders = self.shell.stdin.as_mut().expect("it is piped");
        writeln!(orders, "{order}").expect("it lives as long as we do");
        self.line()
    }
}

impl Server {
    /// Starts a server with these settings beside the usual ones: `["max_connections=20"]`.
    ///
    /// # Panics
    /// When PostgreSQL is not there, with what to install, or does not start, with what it said.
    pub fn start(settings: &[&str]) -> Self {
        Self::start_on(None, settings)
    }

    /// The same with a small disk of its own.
    ///
    /// # Panics
    /// As [`Self::start`] does, and where no file system can be mounted in a namespace.
    pub fn start_on(disk: Option<SmallDisk>, settings: &[&str]) -> Self {
        let programs =
            programs().expect("no PostgreSQL on the PATH or below /usr/lib/postgresql: install the package postgresql");
        for _ in 0..PORTS_TRIED {
            match Self::start_at(&programs, free_port(), disk, settings) {
                Ok(server) => return server,
                Err(said) if said.contains("could not create any TCP/IP sockets") => {}
                Err(said) => panic!("PostgreSQL does not start:\n{said}"),
            }
        }
        panic!("no free port was found in {PORTS_TRIED} tries")
    }

    fn start_at(programs: &Path, port: u16, disk: Option<SmallDisk>, settings: &[&str]) -> Result<Self, String> {
        let home = TempDir::with_prefix("ordermill-pg-").expect("a temporary folder can be made");
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            chown(home.path(), Some(uid), Some(gid)).expect("root can give a folder away");
        }
        let mut command = shell(user, home.path(), disk);
        command.args(["-c", SUPERVISOR, "postgres-for-tests"]).arg(programs).arg(home.path()).arg(port.to_string());
        let holds_wal = disk.is_some_and(|disk| disk.holds_wal);
        command.arg(if holds_wal { home.path().join("small/wal") } else { PathBuf::new() });
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("sh is there, and setpriv and unshare of util-linux");
        let said = BufReader::new(shell.stdout.take().expect("it is piped"));
        let mut supervisor = Supervisor { shell, said };
        let Ok(pid) = supervisor.line().parse() else {
            // It ends by itself: there is nothing to supervise.
            let _ = supervisor.shell.wait();
            return Err(log_of(home.path()));
        };
        let programs = programs.to_owned();
        let server = Self { programs, port, pid: AtomicU32::new(pid), supervisor: Mutex::new(supervisor), home };
        server.wait_until_ready(0)?;
        Ok(server)
    }

    /// Sends the server a signal, `KILL` or `QUIT`, and waits until it has ended.
    pub fn end(&self, signal: &str) {
        self.signal(self.pid(), signal);
        self.tell("wait");
    }

    /// Starts it again on the same folder and port, and waits until it takes connections.
    ///
    /// # Panics
    /// When it does not start, with what it said.
    pub fn start_again(&self) {
        let began = Instant::now();
        loop {
            let said = self.log().len();
            self.pid.store(self.tell("start").parse().expect("a process id"), Ordering::SeqCst);
            match self.wait_until_ready(said) {
                Ok(()) => return,
                // What a killed server leaves behind ends a moment later.
                Err(said) if said.contains("is still in use") && began.elapsed() < START_TIME_MAX => {
                    self.tell("wait");
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(said) => panic!("PostgreSQL does not start again:\n{said}"),
            }
        }
    }

    /// Takes a copy of what it has committed, as a standby has one that gets no further.
    ///
    /// # Panics
    /// When that fails, with what was said.
    pub fn copy(&self) {
        assert_eq!(self.tell("copy"), "0", "{}", self.log());
    }

    /// Puts the copy in the place of the folder of a server that has ended: what was committed since is gone.
    ///
    /// # Panics
    /// When there is no copy.
    pub fn fall_back(&self) {
        assert_eq!(self.tell("back"), "0", "there is no copy");
    }

    /// Whether it is still there after a while: `false` as soon as it has ended.
    pub fn runs_on(&self, time: Duration) -> bool {
        let began = Instant::now();
        while began.elapsed() < time {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            // Ended, and perhaps not yet waited for.
            if stat.is_empty() || stat.contains(") Z ") {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Sends a signal to one of its processes. Whether there was one.
    pub fn signal(&self, pid: u32, signal: &str) -> bool {
        self.tell(&format!("kill {signal} {pid}")) == "0"
    }

    /// Fills the small disk up to the last block, also with what has become free since the last time.
    pub fn fill_disk(&self) {
        self.tell("fill");
    }

    /// Makes room on the small disk.
    pub fn make_room(&self) {
        self.tell("room");
    }

    /// The folder on the small disk that a tablespace can be made in.
    pub fn small_space(&self) -> PathBuf {
        self.home.path().join("small/space")
    }

    fn tell(&self, order: &str) -> String {
        self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).tell(order)
    }

    /// `log_begin`: where in the log this start begins.
    fn wait_until_ready(&self, log_begin: usize) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < START_TIME_MAX {
            let mut probe = Command::new(self.programs.join("pg_isready"));
            probe.args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string());
            if probe.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            let said = self.log().split_off(log_begin);
            if said.contains("database system is shut down") {
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

    /// The port it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server itself.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// What the server has said.
    pub fn log(&self) -> String {
        log_of(self.home.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The supervisor sees the end of its input and ends the server.
        let supervisor = self.supervisor.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(supervisor.shell.stdin.take());
        let _ = supervisor.shell.wait();
    }
}

fn log_of(home: &Path) -> String {
    fs::read_to_string(home.join("server.log")).unwrap_or_default()
}

/// A shell as this user, who is left without any other group; with a small disk below our folder where one is wanted.
fn shell(user: Option<(u32, u32)>, home: &Path, disk: Option<SmallDisk>) -> Command {
    let mut words: Vec<OsString> = Vec::new();
    if let Some(disk) = disk {
        fs::create_dir(home.join("small")).expect("a folder can be made");
        words.extend(
            ["unshare", if user.is_some() { "-m" } else { "-rm" }, "sh", "-c", SMALL_DISK, "sh"].map(Into::into),
        );
        words.extend([home.into(), format!("{}m", disk.mib).into()]);
    }
    match user {
        Some((uid, gid)) => {
            let user = [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()];
            words.push("setpriv".into());
            words.extend(user.map(Into::into));
        }
        // Who may mount there is root there, which PostgreSQL refuses as well.
        None if disk.is_some() => {
            words.extend(["unshare", "--user", "--map-user=1000", "--map-group=1000"].map(Into::into));
        }
        None => {}
    }
    words.push("sh".into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
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
