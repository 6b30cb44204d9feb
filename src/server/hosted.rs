//! [`Hosted`]: a collection of the server.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::refusal::Refusal;
use crate::collection::Collection;
use crate::search::Searcher;
use crate::service::CollectionHandle;

/// A collection, under its name; or why it can't be opened.
pub(super) struct Hosted {
    name: String,
    path: PathBuf,
    handle: Option<CollectionHandle>,
    fault: String,
    /// Set when it is dropped from the server: its files go with the last call that uses them.
    removed: AtomicBool,
}

impl Hosted {
    pub fn new(name: &str, path: PathBuf, opened: crate::Result<CollectionHandle>) -> Self {
        let (handle, fault) = match opened {
            Ok(handle) => (Some(handle), String::new()),
            Err(error) => {
                log::error!("cannot open the collection {name:?}: {error}");
                (None, error.to_string())
            }
        };
        Self { name: name.into(), path, handle, fault, removed: AtomicBool::new(false) }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The collection in the service.
    pub fn handle(&self) -> Result<&CollectionHandle, Refusal> {
        self.handle.as_ref().ok_or_else(|| {
            Refusal::internal(format!("cannot open the collection `{}`: {}", self.name, self.fault))
        })
    }

    pub fn searcher(&self) -> Result<&Arc<Searcher>, Refusal> {
        self.handle().map(CollectionHandle::searcher)
    }

    pub fn collection(&self) -> Result<&Collection, Refusal> {
        self.searcher().map(|it| it.collection())
    }

    /// Reason why it can't be opened, if so.
    pub fn fault(&self) -> Option<&str> {
        self.handle.is_none().then_some(&*self.fault)
    }

    /// Has its files removed once nothing uses them any more.
    pub fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        if self.removed.load(Ordering::Relaxed) {
            drop(self.handle.take());
            if let Err(fault) = std::fs::remove_dir_all(&self.path) {
                log::warn!("cannot remove {}: {fault}", self.path.display());
            }
        }
    }
}
