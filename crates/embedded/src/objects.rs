//! Objects as files below a directory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use ordermill_ports::Objects;
use ordermill_ports::objects::ObjectError;
use thiserror::Error;

/// Objects of one call that are written at the same time. More would only wait for one another: they share a disk.
const WRITES_AT_ONCE: usize = 8;

/// The object store could not be opened.
#[derive(Debug, Error)]
#[error("cannot open the object store {path}: {problem}", path = path.display())]
pub struct OpenError {
    path: PathBuf,
    problem: String,
}

/// An object store on the local disk: each object is written beside its place and renamed or linked into it, so a reader sees the old or
/// the new one, never a part. The objects of one call are made durable by one `syncfs`.
#[derive(Debug)]
pub struct FileObjects {
    store: LocalFileSystem,
    /// Any file of the file system will do for `syncfs`.
    handle: Arc<File>,
}

impl FileObjects {
    /// Opens the store in `directory`, creating it where there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let failed = |problem: String| OpenError { path: directory.to_owned(), problem };
        std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(directory).map_err(|error| failed(error.to_string()))?;
        let handle = File::open(directory).map_err(|error| failed(error.to_string()))?;
        Ok(Self { store, handle: Arc::new(handle) })
    }

    async fn sync(&self) -> Result<(), ObjectError> {
        let handle = Arc::clone(&self.handle);
        let synced = tokio::task::spawn_blocking(move || rustix::fs::syncfs(&*handle)).await;
        let synced = synced.map_err(io::Error::from).and_then(|synced| synced.map_err(io::Error::from));
        synced.map_err(|error| ObjectError(format!("cannot sync the disk: {error}")))
    }
}

#[async_trait]
impl Objects for FileObjects {
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>> {
        // One after the other where a key is there twice, so that the later one stays.
        let mut keys: Vec<&str> = objects.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        let at_once = if keys.windows(2).any(|pair| pair[0] == pair[1]) { 1 } else { WRITES_AT_ONCE };
        let writes = objects.into_iter().map(|(key, data)| async move {
            let key = checked(&key)?;
            self.store.put(&key, data.into()).await.map(drop).map_err(|error| failed(&error))
        });
        let mut results: Vec<_> = futures_util::stream::iter(writes).buffered(at_once).collect().await;
        if results.iter().any(Result::is_ok)
            && let Err(error) = self.sync().await
        {
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(error.clone());
            }
        }
        results
    }

    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError> {
        let created = self.store.put_opts(&checked(key)?, data.into(), PutMode::Create.into()).await;
        let is_new = match created {
            Ok(_) => true,
            Err(object_store::Error::AlreadyExists { .. }) => false,
            Err(error) => return Err(failed(&error)),
        };
        // Also where it is there already: whoever wrote it may not have come so far.
        self.sync().await?;
        Ok(is_new)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError> {
        match self.store.get(&checked(key)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|error| failed(&error)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let folder = prefix.trim_end_matches('/');
        let folder = if folder.is_empty() { None } else { Some(checked(folder)?) };
        let found = self.store.list(folder.as_ref()).map_ok(|object| object.location.to_string());
        found.try_collect().await.map_err(|error| failed(&error))
    }
}

/// A key as it may come from outside: plain names divided by `/`, none of them empty, `.` or `..`.
fn checked(key: &str) -> Result<Key, ObjectError> {
    let problem = || ObjectError(format!("{key:?} is no key of an object"));
    let path = Key::parse(key).map_err(|_| problem())?;
    // Parsing drops a slash at either end: such a key would name something else than it says.
    if path.as_ref() == key && !key.is_empty() { Ok(path) } else { Err(problem()) }
}

fn failed(error: &object_store::Error) -> ObjectError {
    ObjectError(error.to_string())
}
