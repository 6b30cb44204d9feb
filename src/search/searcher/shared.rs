//! State that every search of a collection shares.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::graphs::Graph;
#[cfg(feature = "gpu")]
use super::resident::Resident;
use crate::Result;
use crate::collection::Collection;
use crate::rerank::Reranker;
use crate::trace::span;

/// A collection, and what is derived from it.
pub(super) struct Shared {
    pub collection: Collection,
    pub reranker: Arc<Reranker>,
    pub graphs: Vec<Graph>,
    #[cfg(feature = "gpu")]
    pub residents: Vec<Resident>,
    /// The transaction that all of it has followed to.
    followed: AtomicU64,
    /// The newest transaction that it tried to follow to.
    tried: AtomicU64,
    /// Held by whoever brings it up to date, or saves it.
    following: Mutex<()>,
    /// Tells them to stop.
    pub stop: AtomicBool,
}

impl Shared {
    /// Everything derived is there, and up to date.
    #[cfg_attr(not(feature = "gpu"), expect(unused_variables))]
    pub fn open(
        collection: Collection,
        reranker: Arc<Reranker>,
        resident_bytes: Option<u64>,
    ) -> Result<Self> {
        #[cfg(feature = "gpu")]
        let residents = match reranker.gpu() {
            Some(gpu) if resident_bytes != Some(0) => {
                Resident::new_all(&collection, gpu, resident_bytes)?
            }
            _ => Vec::new(),
        };
        let shared = Self {
            graphs: Graph::open_all(&collection)?,
            collection,
            reranker,
            #[cfg(feature = "gpu")]
            residents,
            followed: AtomicU64::new(0),
            tried: AtomicU64::new(0),
            following: Mutex::new(()),
            stop: AtomicBool::new(false),
        };
        shared.follow()?;
        Ok(shared)
    }

    /// Number of transactions that graphs and copies on a GPU are behind this one.
    pub fn behind(&self, transaction: u64) -> u64 {
        transaction.saturating_sub(self.followed.load(Ordering::Relaxed))
    }

    /// Brings what is derived up to date if it is behind. Unasked it tries each transaction once.
    pub fn catch_up(&self, asked: bool) -> Result<()> {
        let newest = self.collection.snapshot()?.transaction();
        let tried = self.tried.fetch_max(newest, Ordering::Relaxed);
        match self.behind(newest) > 0 && (asked || tried < newest) {
            true => self.follow(),
            false => Ok(()),
        }
    }

    /// Brings what is derived up to date. Nothing here uses rayon, as a thread of rayon that waits takes
    /// up other jobs, and those may come here, too.
    pub fn follow(&self) -> Result<()> {
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.collection.snapshot()?;
        let _span = span!("upkeep", transaction = snapshot.transaction());
        for graph in &self.graphs {
            graph.follow(&snapshot, &self.stop)?;
        }
        #[cfg(feature = "gpu")]
        for resident in &self.residents {
            // What isn't resident is sent along.
            if let Err(error) = resident.follow(&snapshot) {
                log::warn!("{:?} is not resident as a whole: {error}", resident.name());
            }
        }
        if !self.stop.load(Ordering::Relaxed) {
            self.followed.store(snapshot.transaction(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes graphs that have changed.
    pub fn save(&self) -> Result<()> {
        // Following saves too: a file is not to be written by two at once.
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        self.graphs.iter().try_for_each(Graph::save)
    }
}
