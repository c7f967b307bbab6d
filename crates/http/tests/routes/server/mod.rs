//! The server on a real socket: limits, slow clients, shutdown.

mod drain;
mod limits;
mod slow;

use std::net::SocketAddr;
use std::time::Duration;

use ordermill_http::Settings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Shop, order};

/// Whatever has to happen happens within this time, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    pub address: SocketAddr,
    pub shop: Shop,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub async fn start(settings: Settings) -> Self {
        let shop = Shop::with(settings, 1_000);
        shop.stock("chair", 1_000).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(ordermill_http::serve(listener, shop.app.clone(), stopped));
        Self { address, shop, stop: Some(stop), ended }
    }

    pub async fn connect(&self) -> Client {
        Client { stream: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    /// Begins shutdown.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits for the end of shutdown.
    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.ended).await.expect("shutdown ends").unwrap().unwrap();
    }
}

/// A client that speaks HTTP by hand.
pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub async fn write(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    /// Everything until the server closes.
    pub async fn read_to_end(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.buffer);
        let read = tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await;
        // A reset is an end, too.
        let _ = read.expect("the server closes the connection");
        String::from_utf8(rest).unwrap()
    }

    /// Everything up to and with this text.
    pub async fn read_until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end.as_bytes()) {
                let rest = self.buffer.split_off(at + end.len());
                return String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap();
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no {end:?} in {:?}", String::from_utf8_lossy(&self.buffer)));
            assert_ne!(read.unwrap(), 0, "no {end:?} in {:?}", String::from_utf8_lossy(&self.buffer));
        }
    }

    /// One whole answer with a length: its status and its body.
    pub async fn answer(&mut self) -> (u16, String) {
        let head = self.read_until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        while self.buffer.len() < length {
            let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            assert_ne!(read.expect("the body comes").unwrap(), 0, "the body is cut");
        }
        let rest = self.buffer.split_off(length);
        (status, String::from_utf8(std::mem::replace(&mut self.buffer, rest)).unwrap())
    }

    pub async fn get(&mut self, path: &str) -> (u16, String) {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        self.answer().await
    }

    pub async fn place(&mut self) -> (u16, String) {
        self.write(place_request("")).await;
        self.answer().await
    }
}

/// A whole request that places an order, with further header lines.
pub fn place_request(headers: &str) -> String {
    let body = order("chair", 1).to_string();
    let length = body.len();
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}
