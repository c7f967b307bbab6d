//! A network between a program and its server that does what networks do: it is cut, it stalls, it is slow, and it chooses the worst
//! moment for it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A COMMIT on its way to the server: type, length, text, as a simple query has them.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// What the network is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Clear,
    /// Nothing passes; no connection ends, and new ones are taken.
    Stalled,
    /// Connections are cut as soon as they are made.
    Down,
}

/// What happens to the next COMMIT that passes, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambush {
    /// Its connection is cut before it.
    CutBefore,
    /// Half of it reaches the server, then its connection is cut.
    CutHalfway,
    /// The server gets it, and its answer goes nowhere: the connection is cut then.
    CutAnswer,
    /// Nothing passes any more on its connection, from before it on.
    StallBefore,
    /// The server gets it, and nothing passes any more on its connection.
    StallAnswer,
}

/// A network. Everything on it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: Arc<Network>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Network {
    server: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Counts the cuts: a connection that is older than the newest one ends.
    cuts: watch::Sender<u64>,
    delay_ms: AtomicU64,
    ambush: Mutex<Option<Ambush>>,
    sprung: AtomicU32,
}

impl Network {
    fn lie_in_wait(&self) -> MutexGuard<'_, Option<Ambush>> {
        self.ambush.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// A network before the server at this address.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback interface is there");
        let address = listener.local_addr().expect("a bound socket has an address");
        let network = Arc::new(Network {
            server,
            weather: watch::Sender::new(Weather::Clear),
            cuts: watch::Sender::new(0),
            delay_ms: AtomicU64::new(0),
            ambush: Mutex::new(None),
            sprung: AtomicU32::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&network)));
        Self { address, network, _tasks: tasks }
    }

    /// The port that programs connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes the weather for all connections.
    pub fn set(&self, weather: Weather) {
        self.network.weather.send_replace(weather);
        if weather == Weather::Down {
            self.cut();
        }
    }

    /// Cuts every connection there is.
    pub fn cut(&self) {
        self.network.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Delays everything by this from now on, each way.
    pub fn delay(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).expect("a short time");
        self.network.delay_ms.store(millis, Ordering::Relaxed);
    }

    /// Lies in wait for the next COMMIT.
    pub fn await_commit(&self, ambush: Ambush) {
        *self.network.lie_in_wait() = Some(ambush);
    }

    /// How many COMMITs were ambushed.
    pub fn sprung(&self) -> u32 {
        self.network.sprung.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, network: Arc<Network>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = links.join_next() => {}
            Ok((client, _)) = listener.accept() => {
                links.spawn(serve(client, Arc::clone(&network)));
            }
        }
    }
}

/// One connection, until either side ends it or it is cut.
async fn serve(client: TcpStream, network: Arc<Network>) {
    let mut cuts = network.cuts.subscribe();
    cuts.mark_unchanged();
    if *network.weather.borrow() == Weather::Down {
        return;
    }
    let link = async {
        until_clear(&network).await;
        let Ok(server) = TcpStream::connect(network.server).await else { return };
        // What is sent shall go out as it is sent.
        if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
            return;
        }
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let fate = watch::Sender::new(Fate::Open);
        tokio::select! {
            () = outward(from_client, to_server, &network, &fate) => {}
            () = homeward(from_server, to_client, &network, fate.subscribe()) => {}
        }
    };
    tokio::select! {
        () = link => {}
        _ = cuts.changed() => {}
    }
}

/// What an ambush does to the answers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    CutAtNext,
    Stalled,
}

async fn outward(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, network: &Network, fate: &watch::Sender<Fate>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut buffer).await {
        let chunk = &buffer[..count];
        pass(network).await;
        let at = chunk.windows(COMMIT.len()).position(|window| window == COMMIT);
        let ambush = at.and_then(|at| Some((at, network.lie_in_wait().take()?)));
        let Some((at, ambush)) = ambush else {
            if server.write_all(chunk).await.is_err() {
                return;
            }
            continue;
        };
        network.sprung.fetch_add(1, Ordering::Relaxed);
        let (passes, then) = match ambush {
            Ambush::CutBefore => (at, None),
            Ambush::CutHalfway => (at + COMMIT.len() / 2, None),
            Ambush::CutAnswer => (count, Some(Fate::CutAtNext)),
            Ambush::StallBefore => (at, Some(Fate::Stalled)),
            Ambush::StallAnswer => (count, Some(Fate::Stalled)),
        };
        if let Some(then) = then {
            fate.send_replace(then);
        }
        if server.write_all(&chunk[..passes]).await.is_err() || then.is_none() {
            // Let the server see what came before the end.
            sleep(Duration::from_millis(50)).await;
            return;
        }
        // The other direction ends it, or nothing does.
        std::future::pending::<()>().await;
    }
}

async fn homeward(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    network: &Network,
    fate: watch::Receiver<Fate>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = server.read(&mut buffer).await {
        pass(network).await;
        let now = *fate.borrow();
        match now {
            Fate::Open => {}
            // The answers to what came before the COMMIT may come first: the last of all of them is the answer that is meant.
            Fate::CutAtNext if !buffer[..count].windows(6).any(|window| window == b"COMMIT") => continue,
            Fate::CutAtNext => return,
            Fate::Stalled => std::future::pending().await,
        }
        // In two parts, so that a message may come in pieces.
        let half = count / 2;
        if client.write_all(&buffer[..half]).await.is_err() {
            return;
        }
        until_clear(network).await;
        if client.write_all(&buffer[half..count]).await.is_err() {
            return;
        }
    }
}

/// The way through the network.
async fn pass(network: &Network) {
    let delay = network.delay_ms.load(Ordering::Relaxed);
    if delay > 0 {
        sleep(Duration::from_millis(delay)).await;
    }
    until_clear(network).await;
}

async fn until_clear(network: &Network) {
    let mut weather = network.weather.subscribe();
    // The sender lives as long as the network.
    let _ = weather.wait_for(|weather| *weather != Weather::Stalled).await;
}
