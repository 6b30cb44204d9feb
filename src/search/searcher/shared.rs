//! State that every search of a collection shares.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::graphs::{Graph, Graphs};
#[cfg(feature = "gpu")]
use super::resident::{Resident, Residents};
use crate::Result;
use crate::collection::{Collection, RowWarnings, Snapshot};
use crate::rerank::Reranker;
use crate::trace::span;

/// A collection, and what is derived from it.
pub(super) struct Shared {
    pub collection: Collection,
    pub reranker: Arc<Reranker>,
    /// Warnings of what is searched for.
    pub query_rows: RowWarnings,
    graphs: Mutex<Graphs>,
    #[cfg(feature = "gpu")]
    residents: Mutex<Residents>,
    /// Bytes of all residents, or by the adapter.
    #[cfg(feature = "gpu")]
    resident_bytes: Option<u64>,
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
    /// A collection with its graphs as they are saved, and nothing on a GPU yet.
    #[cfg_attr(not(feature = "gpu"), expect(unused_variables))]
    pub fn open(
        collection: Collection,
        reranker: Arc<Reranker>,
        resident_bytes: Option<u64>,
    ) -> Result<Self> {
        Ok(Self {
            graphs: Mutex::new(Graph::open_all(&collection)?),
            collection,
            reranker,
            query_rows: RowWarnings::of_queries(),
            #[cfg(feature = "gpu")]
            residents: Mutex::default(),
            #[cfg(feature = "gpu")]
            resident_bytes,
            followed: AtomicU64::new(0),
            tried: AtomicU64::new(0),
            following: Mutex::new(()),
            stop: AtomicBool::new(false),
        })
    }

    /// The graphs as they are now.
    pub fn graphs(&self) -> Graphs {
        self.graphs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Multivectors on the GPU.
    #[cfg(feature = "gpu")]
    pub fn residents(&self) -> Residents {
        self.residents.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has graphs and copies of the vectors that a snapshot has, with the parameters that they have there.
    fn renew(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let graphs = Graph::renewed(&self.graphs(), &self.collection, snapshot)?;
        *self.graphs.lock().unwrap_or_else(PoisonError::into_inner) = graphs;
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.reranker.gpu().filter(|_| self.resident_bytes != Some(0)) {
            let (residents, budget) = (self.residents(), self.resident_bytes);
            let residents = Resident::renewed(&residents, snapshot.config(), gpu, budget)?;
            *self.residents.lock().unwrap_or_else(PoisonError::into_inner) = residents;
        }
        Ok(())
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
            true => self.follow_on(),
            false => Ok(()),
        }
    }

    /// Brings what is derived up to date with what has been written by now.
    pub fn follow(&self) -> Result<()> {
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = self.take_in()?;
        while self.link() {}
        self.finish(transaction)
    }

    /// Brings what is derived up to date, also with what is written meanwhile: it is compared one by one
    /// until it is linked, and nowhere faster than in the graph's memory.
    fn follow_on(&self) -> Result<()> {
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = self.take_in()?;
        while self.link() {
            self.tend()?;
            transaction = self.take_in()?;
        }
        self.finish(transaction)
    }

    /// Has graphs and copies take in what is new; gives the transaction that they have come to. Nothing here uses
    /// rayon, as a thread of rayon that waits takes up other jobs, and those may come here, too.
    fn take_in(&self) -> Result<u64> {
        let snapshot = self.collection.snapshot()?;
        let _span = span!("upkeep", transaction = snapshot.transaction());
        self.renew(&snapshot)?;
        for graph in self.graphs().iter() {
            graph.follow(&snapshot)?;
        }
        #[cfg(feature = "gpu")]
        for resident in self.residents().iter() {
            // What isn't resident is sent along.
            if let Err(error) = resident.follow(&snapshot) {
                log::warn!("{:?} is not resident as a whole: {error}", resident.name());
            }
        }
        Ok(snapshot.transaction())
    }

    /// Links some of what graphs have taken in; `false` if that was all, or it is time to stop.
    fn link(&self) -> bool {
        let graphs = self.graphs();
        // Each some, so that none waits for another.
        let left = graphs.iter().filter(|graph| graph.link()).count();
        left > 0 && !self.stop.load(Ordering::Relaxed)
    }

    /// Rebuilds and saves graphs, where that is due.
    fn tend(&self) -> Result<()> {
        self.graphs().iter().try_for_each(|graph| graph.tend(&self.collection, &self.stop))
    }

    /// Graphs are linked as of a transaction, unless they were stopped.
    fn finish(&self, transaction: u64) -> Result<()> {
        self.tend()?;
        if !self.stop.load(Ordering::Relaxed) {
            self.followed.store(transaction, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes graphs that have changed.
    pub fn save(&self) -> Result<()> {
        // Following saves too: a file is not to be written by two at once.
        let _alone = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.collection.snapshot()?;
        self.graphs().iter().try_for_each(|graph| graph.save(&snapshot))
    }
}
