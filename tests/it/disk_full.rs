//! A disk that fills up: callers get an error, nothing acknowledged is lost, and it goes on when there is room.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Server, Shop, doctor, wait_for_mails};

/// A small file system in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, size: &str) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "a tmpfs cannot be mounted: run the tests as root, or within `unshare --user --map-root-user --mount`"
        );
        Self(path.to_owned())
    }

    /// Leaves about this many bytes free.
    fn fill(&self, leave: u64) {
        let free = rustix::fs::statvfs(&self.0).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
        std::fs::write(self.0.join("filler"), vec![0; usize::try_from(free - leave).unwrap()]).unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may still be on its way out.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&folder.path().join("disk"), "24m");
    let data = disk.0.join("data");
    let server = Server::start(&data);
    let shop = Shop::of(&server);
    shop.stock_product("P1", 1000, 1_000_000).await;
    let mut acknowledged = vec![shop.place_and_wait(Shop::order("P1", 1)).await.order_id()];
    assert_eq!(shop.get("/readyz").await.status, 200);

    disk.fill(512 * 1024);
    let deadline = Instant::now() + Duration::from_secs(60);
    let refused = loop {
        let answer = shop.post("/v1/orders", Shop::order("P1", 1)).await;
        if answer.status != 202 {
            break answer;
        }
        acknowledged.push(answer.order_id());
        assert!(Instant::now() < deadline, "the disk does not fill up");
    };
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    assert_eq!(shop.get("/readyz").await.status, 503, "it says that it cannot take orders");
    assert_eq!(shop.get("/healthz").await.status, 200, "it need not be restarted");
    assert_eq!(shop.get(&format!("/v1/orders/{}", acknowledged[0])).await.status, 200, "it can still be read");

    disk.make_room();
    let deadline = Instant::now() + Duration::from_secs(60);
    while shop.get("/readyz").await.status != 200 {
        assert!(Instant::now() < deadline, "it does not recover:\n{}", server.log_text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let answer = shop.place_and_wait(Shop::order("P1", 1)).await;
    assert_eq!(answer.body["status"], "confirmed", "{answer:?}");
    acknowledged.push(answer.order_id());

    for id in &acknowledged {
        shop.wait_for(id, |order| order["status"] == "confirmed").await;
    }
    let mails = wait_for_mails(&data, acknowledged.len());
    assert!(mails.values().all(|count| *count == 1), "{mails:?}");
    assert!(server.terminate().success());
    doctor(&data).assert_clean();
}
