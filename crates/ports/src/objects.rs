//! The object store: the archive, later the records.

use async_trait::async_trait;
use bytes::Bytes;
use thiserror::Error;

/// The store failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the object store failed: {0}")]
pub struct ObjectError(pub String);

/// An object store. Keys are paths with `/`; writing a key again replaces the object.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Writes objects, durably; one result per object, in order.
    async fn put(&self, objects: Vec<(String, Bytes)>) -> Vec<Result<(), ObjectError>>;

    /// Writes one object, durably, where there is none under this key. `false`: there is one, which stays as it is, durably. Of several
    /// that create an object at the same time one does.
    async fn create(&self, key: &str, data: Bytes) -> Result<bool, ObjectError>;

    /// Reads one object; `None` where there is none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// Every key below a prefix, in no promised order.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;
}
