//! What an object store has to show.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;

use crate::objects::Objects;

/// Makes every case a test: `objects_suite!(MyHarness::new());`, in a module of its own.
#[macro_export]
macro_rules! objects_suite {
    ($harness:expr) => {
        $crate::gateway_cases! { objects, $harness;
            what_was_put_is_read_back, writing_again_replaces, a_later_object_of_a_call_replaces_an_earlier_one,
            what_is_missing_is_none, a_list_holds_every_key_below_the_prefix_and_no_other, a_bad_key_keeps_back_nobody,
            readers_see_whole_objects_only, an_object_is_created_once, objects_are_kept_when_opened_again,
        }
    };
}

/// One place for objects: empty when it is made, and for one case only.
#[async_trait]
pub trait Harness: Send + Sync {
    /// Opens the store. A case opens it again only when it dropped the one before, and then finds what was put.
    async fn open(&self) -> Arc<dyn Objects>;
}

fn objects<const N: usize>(pairs: [(&str, &'static [u8]); N]) -> Vec<(String, Bytes)> {
    pairs.into_iter().map(|(key, data)| (key.to_owned(), Bytes::from_static(data))).collect()
}

async fn put_all(store: &dyn Objects, objects: Vec<(String, Bytes)>) {
    let count = objects.len();
    let results = store.put(objects).await;
    assert_eq!(results, vec![Ok(()); count]);
}

async fn read(store: &dyn Objects, key: &str) -> Option<Bytes> {
    store.get(key).await.expect("the store answers")
}

async fn listed(store: &dyn Objects, prefix: &str) -> Vec<String> {
    let mut keys = store.list(prefix).await.expect("the store answers");
    keys.sort_unstable();
    keys
}

/// Byte for byte, the empty and the large one too.
pub async fn what_was_put_is_read_back(harness: &dyn Harness) {
    let store = harness.open().await;
    let large = Bytes::from(vec![7; 3_000_000]);
    let mut all = objects([("archive/2026/11/21/a.json", b"{}"), ("empty", b""), ("binary", b"\0\xff\r\n")]);
    all.push(("large".to_owned(), large.clone()));
    put_all(&*store, all).await;
    assert_eq!(read(&*store, "archive/2026/11/21/a.json").await, Some(Bytes::from_static(b"{}")));
    assert_eq!(read(&*store, "empty").await, Some(Bytes::new()));
    assert_eq!(read(&*store, "binary").await, Some(Bytes::from_static(b"\0\xff\r\n")));
    assert_eq!(read(&*store, "large").await, Some(large));
    assert!(store.put(Vec::new()).await.is_empty());
}

/// A shorter one leaves nothing of the longer one.
pub async fn writing_again_replaces(harness: &dyn Harness) {
    let store = harness.open().await;
    put_all(&*store, objects([("a/b", b"the first, long one")])).await;
    put_all(&*store, objects([("a/b", b"second")])).await;
    assert_eq!(read(&*store, "a/b").await, Some(Bytes::from_static(b"second")));
    assert_eq!(listed(&*store, "a").await, ["a/b"]);
}

/// Within one call the order counts.
pub async fn a_later_object_of_a_call_replaces_an_earlier_one(harness: &dyn Harness) {
    let store = harness.open().await;
    for _ in 0..20 {
        put_all(&*store, objects([("k", b"1"), ("other", b"x"), ("k", b"2"), ("k", b"3")])).await;
        assert_eq!(read(&*store, "k").await, Some(Bytes::from_static(b"3")));
    }
}

/// Also where the key is the folder of another one.
pub async fn what_is_missing_is_none(harness: &dyn Harness) {
    let store = harness.open().await;
    assert_eq!(read(&*store, "nothing/here").await, None);
    put_all(&*store, objects([("some/thing", b"x")])).await;
    assert_eq!(read(&*store, "some").await, None);
}

/// Prefixes are whole names: `a/2026` is no prefix of `a/20260`.
pub async fn a_list_holds_every_key_below_the_prefix_and_no_other(harness: &dyn Harness) {
    let store = harness.open().await;
    assert!(listed(&*store, "").await.is_empty());
    assert!(listed(&*store, "none").await.is_empty());
    put_all(&*store, objects([("a/2026/1", b""), ("a/2026/2/3", b""), ("a/20260", b""), ("b", b"")])).await;
    assert_eq!(listed(&*store, "a/2026").await, ["a/2026/1", "a/2026/2/3"]);
    assert_eq!(listed(&*store, "a/2026/").await, ["a/2026/1", "a/2026/2/3"]);
    assert_eq!(listed(&*store, "").await, ["a/2026/1", "a/2026/2/3", "a/20260", "b"]);
}

/// Keys that would lead out of the store, or are none, are refused; the rest of the call is written.
pub async fn a_bad_key_keeps_back_nobody(harness: &dyn Harness) {
    let store = harness.open().await;
    for bad in ["../x", "a/../../x", "/etc/x", "", "a//b", ".", "a/./b", "a/"] {
        let results = store.put(objects([("good/1", b"1"), (bad, b"x"), ("good/2", b"2")])).await;
        assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok(), "{bad:?}: {results:?}");
        assert!(store.get(bad).await.is_err(), "{bad:?}");
    }
    assert_eq!(listed(&*store, "").await, ["good/1", "good/2"]);
}

/// While it is written again and again.
pub async fn readers_see_whole_objects_only(harness: &dyn Harness) {
    let store = harness.open().await;
    let version = |fill: u8| vec![("k".to_owned(), Bytes::from(vec![fill; 200_000]))];
    put_all(&*store, version(0)).await;
    let writer = async {
        for fill in 1..20 {
            put_all(&*store, version(fill)).await;
        }
    };
    let reader = async {
        for _ in 0..40 {
            let object = read(&*store, "k").await.expect("it is there all the time");
            assert_eq!(object.len(), 200_000);
            assert!(object.iter().all(|byte| *byte == object[0]));
        }
    };
    tokio::join!(writer, reader);
    let twins = join_all((0..8_u8).map(|fill| store.put(version(fill)))).await;
    assert!(twins.iter().flatten().all(Result::is_ok));
    assert_eq!(read(&*store, "k").await.map(|object| object.len()), Some(200_000));
}

/// Whoever comes second is told so, and changes nothing.
pub async fn an_object_is_created_once(harness: &dyn Harness) {
    let store = harness.open().await;
    assert_eq!(store.create("a/b", Bytes::from_static(b"first")).await, Ok(true));
    assert_eq!(store.create("a/b", Bytes::from_static(b"another, long one")).await, Ok(false));
    assert_eq!(read(&*store, "a/b").await, Some(Bytes::from_static(b"first")));
    put_all(&*store, objects([("a/c", b"put")])).await;
    assert_eq!(store.create("a/c", Bytes::from_static(b"created")).await, Ok(false));
    assert_eq!(read(&*store, "a/c").await, Some(Bytes::from_static(b"put")));
    assert!(store.create("../x", Bytes::new()).await.is_err());
    let twins = join_all((0..8_u8).map(|fill| store.create("k", Bytes::from(vec![fill; 200_000])))).await;
    let created: Vec<usize> = (0..8).filter(|twin| twins[*twin] == Ok(true)).collect();
    assert_eq!((created.len(), twins.iter().filter(|twin| **twin == Ok(false)).count()), (1, 7), "{twins:?}");
    let object = read(&*store, "k").await.expect("it was created");
    assert!(object.len() == 200_000 && object.iter().all(|byte| usize::from(*byte) == created[0]));
    assert_eq!(listed(&*store, "").await, ["a/b", "a/c", "k"], "nothing else is left lying about");
    drop(store);
    assert_eq!(harness.open().await.create("k", Bytes::new()).await, Ok(false), "nor after it is opened again");
}

/// Nothing is lost when the store is opened again.
pub async fn objects_are_kept_when_opened_again(harness: &dyn Harness) {
    let store = harness.open().await;
    put_all(&*store, objects([("a", b"1"), ("b/c", b"2")])).await;
    drop(store);
    let store = harness.open().await;
    assert_eq!(read(&*store, "b/c").await, Some(Bytes::from_static(b"2")));
    assert_eq!(listed(&*store, "").await, ["a", "b/c"]);
}
