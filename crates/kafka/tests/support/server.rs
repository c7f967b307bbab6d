//! A Kafka broker of the tests' own, or three of them: in a temporary folder, on free loopback ports, gone when the program is.
//!
//! Needs the standard library and `tempfile` alone, so that any test program can include it by its path.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Starting takes some seconds; this is for a machine with much else to do.
const START_TIME_MAX: Duration = Duration::from_secs(120);

/// A port that was free a moment ago may be taken by now: then others are tried.
const PORTS_TRIED: u32 = 5;

/// What the server says when it answers.
const STARTED: &str = "Kafka Server started";

/// Names the cluster. Any would do.
const CLUSTER_ID: &str = "4L6g3nShT-eMCtK--X86sw";

/// Runs the server, says its process id, and ends it when the standard input ends: that is when the program that started this does, in
/// whichever way. Arguments: the folder of the jars, the folder of the node, the options of the virtual machine, those
/// of the formatting.
const SUPERVISOR: &str = r#"
jars=$1 home=$2 options=$3 format=$4
# A terminal interrupts all of us; what is left behind is to be removed all the same.
trap "" INT HUP
cd "$home" || exit 1
java="java $options -cp $jars/*"
set -f
[ -d data ] || $java kafka.tools.StorageTool format --cluster-id CLUSTER --config server.properties $format >format.log 2>&1 || exit 1
$java kafka.Kafka server.properties >server.log 2>&1 </dev/null &
server=$!
echo "$server"
exec >&-
read -r word
kill -KILL "$server" 2>/dev/null
wait "$server" 2>/dev/null
# Who ends it by a word has use for the folder, or removes it.
[ "$word" = keep ] || { cd / && rm -rf "$home" && rmdir "${home%/*}" 2>/dev/null; }
"#;

/// The virtual machine of the tests: small, and soon up to the little that they ask of it.
const SMALL: &str = "-Xms32m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1";

/// What every node is told. Small, as a test has few messages, and quick to let members into a group.
const SETTINGS: &str = "
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,FAR:PLAINTEXT,GUARDED:SASL_SSL
log.dirs=data
auto.create.topics.enable=false
offsets.topic.num.partitions=4
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.dedupe.buffer.size=4194304
log.index.size.max.bytes=65536
num.network.threads=2
num.io.threads=4
";

/// One process of the cluster.
#[derive(Debug)]
struct Node {
    home: PathBuf,
    pid: u32,
    supervisor: Child,
}

/// A listener of TLS, for clients that show who they are.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// What the broker is told of its listener `GUARDED`, in lines.
    pub settings: String,
    /// More options of `kafka-storage format`: users and their passwords.
    pub format: String,
}

/// What is to be started.
struct Plan<'a> {
    brokers: usize,
    java_options: &'a str,
    network: Option<&'a mut dyn FnMut(u16) -> u16>,
    guard: Option<Guard>,
    told: Option<&'a dyn Fn(u16, u16) -> String>,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { brokers: 1, java_options: SMALL, network: None, guard: None, told: None }
    }
}

/// Running brokers. They end when this is dropped, or with the program, also by a panic or a signal: their supervisors see the end of
/// their input.
#[derive(Debug)]
pub struct Cluster {
    jars: PathBuf,
    java_options: String,
    ports: Vec<u16>,
    /// Where clients find it that come by a network.
    far: Option<u16>,
    /// Where clients find it that show who they are.
    guarded: Option<u16>,
    guard: Guard,
    /// `None` where one was killed.
    brokers: Vec<Option<Node>>,
    /// Where it is a process of its own.
    controller: Option<Node>,
    home: TempDir,
}

impl Cluster {
    /// One broker that is its own controller: for everything but its own death.
    ///
    /// # Panics
    /// When Java or the jars are not there, with what to do, or the broker does not start, with what it said.
    pub fn single() -> Self {
        Self::single_with(SMALL)
    }

    /// The same with these options of the Java virtual machine, for whoever asks more of it than a test does.
    ///
    /// # Panics
    /// As [`Self::single`].
    pub fn single_with(java_options: &str) -> Self {
        Self::start(&mut Plan { java_options, ..Plan::default() })
    }

    /// One broker with somebody else's settings. They are asked for with the ports for its clients and for its controller.
    ///
    /// # Panics
    /// As [`Self::single`].
    pub fn single_told(settings: &dyn Fn(u16, u16) -> String) -> Self {
        Self::start(&mut Plan { told: Some(settings), ..Plan::default() })
    }

    /// As [`Self::single`], with a second listener that asks who is there.
    ///
    /// # Panics
    /// As [`Self::single`].
    pub fn single_guarded(guard: Guard) -> Self {
        Self::start(&mut Plan { guard: Some(guard), ..Plan::default() })
    }

    /// As [`Self::single`], with a second listener for clients that come by a network. `network` is told its port, and says at which port
    /// of the loopback interface the network begins: that is what the broker tells those clients.
    ///
    /// # Panics
    /// As [`Self::single`].
    pub fn single_behind(network: &mut dyn FnMut(u16) -> u16) -> Self {
        Self::start(&mut Plan { network: Some(network), ..Plan::default() })
    }

    /// One controller and three brokers, on which topics can have three copies.
    ///
    /// # Panics
    /// As [`Self::single`].
    pub fn of_three() -> Self {
        Self::start(&mut Plan { brokers: 3, ..Plan::default() })
    }

    fn start(plan: &mut Plan<'_>) -> Self {
        let jars =
            jars().expect("the jars of Kafka are not there: `cargo xtask test` installs them below target/tools");
        for _ in 0..PORTS_TRIED {
            let mut ports = free_ports(plan.brokers + 2);
            let (far_port, controller_port) = (ports.remove(0), ports.remove(0));
            let far = plan.network.as_mut().map(|network| network(far_port));
            let (guarded, guard) = (plan.guard.as_ref().map(|_| far_port), plan.guard.clone().unwrap_or_default());
            let home = TempDir::with_prefix("ordermill-kafka-").expect("a temporary folder can be made");
            let (jars, java_options) = (jars.clone(), plan.java_options.to_owned());
            let brokers = Vec::new();
            let mut cluster = Self { jars, java_options, ports, far, guarded, guard, brokers, controller: None, home };
            let started = match plan.told {
                Some(settings) => cluster.start_told(&settings(cluster.ports[0], controller_port)),
                None => cluster.start_nodes(controller_port, far_port),
            };
            match started {
                Ok(()) => return cluster,
                Err(said) if said.contains("Address already in use") => {}
                Err(said) => panic!("Kafka does not start:\n{said}"),
            }
        }
        panic!("no free ports were found in {PORTS_TRIED} tries")
    }

    fn start_told(&mut self, settings: &str) -> Result<(), String> {
        let node = self.node(0, settings)?;
        let ready = node.wait_until_ready();
        self.brokers.push(Some(node));
        ready
    }

    fn start_nodes(&mut self, controller_port: u16, far_port: u16) -> Result<(), String> {
        let copies = self.ports.len().min(3);
        let shared = format!(
            "{SETTINGS}controller.quorum.voters=0@127.0.0.1:{controller_port}\noffsets.topic.replication.factor={copies}\n\
             transaction.state.log.replication.factor={copies}\nshare.coordinator.state.topic.replication.factor={copies}\n"
        );
        let controller = format!("CONTROLLER://127.0.0.1:{controller_port}");
        if let [port] = self.ports[..] {
            let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
            let mut advertised = listeners.clone();
            if let Some(far) = self.far {
                listeners += &format!(",FAR://127.0.0.1:{far_port}");
                advertised += &format!(",FAR://127.0.0.1:{far}");
            }
            if let Some(port) = self.guarded {
                listeners += &format!(",GUARDED://127.0.0.1:{port}");
                advertised += &format!(",GUARDED://127.0.0.1:{port}");
            }
            let own = format!(
                "process.roles=broker,controller\nnode.id=0\nlisteners={listeners},{controller}\nadvertised.listeners={advertised}\n{}",
                self.guard.settings
            );
            let node = self.node(0, &format!("{shared}{own}"))?;
            self.brokers.push(Some(node));
        } else {
            let own = format!("process.roles=controller\nnode.id=0\nlisteners={controller}\n");
            self.controller = Some(self.node(0, &format!("{shared}{own}"))?);
            for index in 0..self.ports.len() {
                let listener = format!("PLAINTEXT://127.0.0.1:{}", self.ports[index]);
                let id = index + 1;
                let own = format!(
                    "process.roles=broker\nnode.id={id}\nlisteners={listener}\nadvertised.listeners={listener}\n"
                );
                let node = self.node(id, &format!("{shared}{own}"))?;
                self.brokers.push(Some(node));
            }
        }
        self.controller.iter().chain(self.brokers.iter().flatten()).try_for_each(Node::wait_until_ready)
    }

    /// Starts a node in a new folder.
    fn node(&self, id: usize, settings: &str) -> Result<Node, String> {
        let home = self.home.path().join(format!("node-{id}"));
        fs::create_dir(&home).expect("a folder can be made in our own");
        fs::write(home.join("server.properties"), settings).expect("a file can be written in our own folder");
        Node::start(&self.jars, [&self.java_options, &self.guard.format], home)
    }

    /// Where the brokers are: `127.0.0.1:9092,127.0.0.1:9093`.
    pub fn brokers(&self) -> String {
        self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Where the broker is for clients that come by the network.
    ///
    /// # Panics
    /// Where there is none.
    pub fn far_broker(&self) -> String {
        format!("127.0.0.1:{}", self.far.expect("it was started behind a network"))
    }

    /// Where the broker is for clients that show who they are.
    ///
    /// # Panics
    /// Where there is none.
    pub fn guarded_broker(&self) -> String {
        format!("127.0.0.1:{}", self.guarded.expect("it was started with a guard"))
    }

    /// The process ids of all its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.controller.iter().chain(self.brokers.iter().flatten()).map(|node| node.pid).collect()
    }

    /// Kills a broker, as a crash of its machine would.
    pub fn kill(&mut self, broker: usize) {
        self.brokers[broker].take().expect("it runs").end();
    }

    /// Starts a broker again that was killed, with what it had.
    ///
    /// # Panics
    /// When it does not start, with what it said.
    pub fn revive(&mut self, broker: usize) {
        let id = if self.ports.len() == 1 { 0 } else { broker + 1 };
        let home = self.home.path().join(format!("node-{id}"));
        let started = Node::start(&self.jars, [&self.java_options, &self.guard.format], home)
            .and_then(|node| node.wait_until_ready().map(|()| node));
        self.brokers[broker] = Some(started.unwrap_or_else(|said| panic!("the broker does not start again:\n{said}")));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Brokers first: they would complain of a controller that is gone.
        self.brokers.drain(..).flatten().chain(self.controller.take()).for_each(Node::end);
    }
}

impl Node {
    fn start(jars: &Path, options: [&str; 2], home: PathBuf) -> Result<Self, String> {
        // What an earlier life said is not to be taken for this one's word.
        let _ = fs::remove_file(home.join("server.log"));
        let script = SUPERVISOR.replace("CLUSTER", CLUSTER_ID);
        let mut command = Command::new("sh");
        command.args(["-c", &script, "kafka-for-tests"]).arg(jars).arg(&home).args(options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut supervisor = command.spawn().expect("sh is there");
        let mut pid = String::new();
        let said = supervisor.stdout.take().expect("it is piped");
        BufReader::new(said).read_line(&mut pid).expect("a pipe can be read");
        let Ok(pid) = pid.trim().parse() else {
            // It ends by itself: there is nothing to supervise.
            let _ = supervisor.wait();
            return Err(log_of(&home, "format.log"));
        };
        Ok(Self { home, pid, supervisor })
    }

    fn wait_until_ready(&self) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < START_TIME_MAX {
            let said = log_of(&self.home, "server.log");
            if said.contains(STARTED) {
                return Ok(());
            }
            if !Path::new(&format!("/proc/{}", self.pid)).exists() || said.contains("Encountered fatal fault") {
                return Err(said);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("it does not start within {} s\n{}", START_TIME_MAX.as_secs(), log_of(&self.home, "server.log")))
    }

    fn end(mut self) {
        // The supervisor reads it and ends the server. One that is gone has done so before.
        if let Some(mut input) = self.supervisor.stdin.take() {
            let _ = input.write_all(b"keep\n");
        }
        let _ = self.supervisor.wait();
    }
}

fn log_of(home: &Path, name: &str) -> String {
    fs::read_to_string(home.join(name)).unwrap_or_default()
}

/// Where the jars of Kafka are: installed below the workspace that the including program belongs to.
pub fn jars() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("Cargo.lock").exists())?;
    Some(root.join("target/tools/kafka/lib")).filter(|folder| folder.is_dir())
}

/// All of them at once, so that they differ.
fn free_ports(count: usize) -> Vec<u16> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface is there");
    let listeners: Vec<TcpListener> = (0..count).map(bind).collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound socket has an address").port();
    listeners.iter().map(port).collect()
}
