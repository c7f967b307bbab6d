//! A disk that fills up: callers get an error, nothing acknowledged is lost, and it goes on when there is room.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Diagnosis, Server, Shop, doctor_by, ordermill, wait_for_mails};

/// A server whose data directory is on a small file system in memory. It is mounted in a namespace of the server's own, so that
/// nothing is left of it, and so that no more is needed than the right to make namespaces.
struct Cramped {
    server: Server,
    disk: PathBuf,
}

impl Cramped {
    fn start(folder: &Path, size: &str) -> Self {
        let disk = folder.join("disk");
        std::fs::create_dir_all(&disk).unwrap();
        let script = format!("mount -t tmpfs -o size={size} tmpfs \"$1\" && shift && exec \"$@\"");
        let program = ordermill();
        let mut command = Command::new("unshare");
        command.args([if is_root() { "-m" } else { "-rm" }, "sh", "-c", &script, "sh"]);
        command.arg(&disk).arg(program.get_program());
        let server = Server::spawn(command, &disk.join("data"));
        // The same folder, as seen from outside of the server's namespace.
        let inside = disk.strip_prefix("/").unwrap();
        let disk = Path::new("/proc").join(server.id().to_string()).join("root").join(inside);
        Self { server, disk }
    }

    fn data(&self) -> PathBuf {
        self.disk.join("data")
    }

    /// Leaves about this many bytes free.
    fn fill(&self, leave: u64) {
        let free = rustix::fs::statvfs(&self.disk).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
        std::fs::write(self.disk.join("filler"), vec![0; usize::try_from(free - leave).unwrap()]).unwrap();
    }

    /// The auditor, in the server's namespace.
    fn doctor(&self) -> Diagnosis {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.server.id().to_string()]);
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg(ordermill().get_program());
        doctor_by(command, &self.server.data)
    }

    fn make_room(&self) {
        std::fs::remove_file(self.disk.join("filler")).unwrap();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let cramped = Cramped::start(folder.path(), "24m");
    let shop = Shop::of(&cramped.server);
    shop.stock_product("P1", 1000, 1_000_000).await;
    let mut acknowledged = vec![shop.place_and_wait(Shop::order("P1", 1)).await.order_id()];
    shop.wait_until_ready().await;

    cramped.fill(512 * 1024);
    let deadline = Instant::now() + Duration::from_secs(60);
    // What is less than an order may find room right after one did not, and then it is ready again for a moment.
    let mut says_so = false;
    while !says_so {
        let answer = shop.post("/v1/orders", Shop::order("P1", 1)).await;
        if answer.status == 202 {
            acknowledged.push(answer.order_id());
        } else {
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            says_so = shop.get("/readyz").await.status == 503;
        }
        assert!(Instant::now() < deadline, "the disk does not fill up, or it does not say that it cannot take orders");
    }
    assert_eq!(shop.get("/healthz").await.status, 200, "it need not be restarted");
    assert_eq!(shop.get(&format!("/v1/orders/{}", acknowledged[0])).await.status, 200, "it can still be read");

    cramped.make_room();
    let deadline = Instant::now() + Duration::from_secs(60);
    while shop.get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "it does not recover:\n{}", cramped.server.log_text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
    assert_eq!(answer.body["status"], "confirmed", "{answer:?}");
    acknowledged.push(answer.order_id());

    for id in &acknowledged {
        shop.wait_for(id, |order| order["status"] == "confirmed").await;
    }
    let mails = wait_for_mails(&cramped.data(), acknowledged.len());
    assert!(mails.values().all(|count| *count == 1), "{mails:?}");
    cramped.doctor().assert_clean();
    assert!(cramped.server.terminate().success());
}
