//! Multivectors that stay in the GPU's memory, kept in step with the collection.

use std::sync::{Arc, Mutex, PoisonError};

use crate::collection::{CollectionConfig, Snapshot, VectorConfig, VectorKind};
use crate::filter::{PointNumber, PointSet};
use crate::gpu::{GpuContext, ResidentStore};
use crate::{Error, Result};

/// About what is read from the map at once.
const CHUNK_BYTES: usize = 32 << 20;

/// Those of all names.
pub(super) type Residents = Arc<Vec<Resident>>;

/// The resident multivectors of one name.
pub(super) struct Resident {
    name: String,
    dim: usize,
    /// By number: a number's vectors never change.
    store: ResidentStore<PointNumber>,
    /// Those that were loaded, and those that would never fit.
    known: Mutex<PointSet>,
}

impl Resident {
    /// One for each multivector of a collection: those that there are, or, if it has others now, as budgets
    /// are shares, new ones, empty. `budget` bytes in all, or by the adapter.
    pub fn renewed(
        residents: &Residents,
        config: &CollectionConfig,
        gpu: &GpuContext,
        budget: Option<u64>,
    ) -> Result<Residents> {
        let multi: Vec<_> = config.vectors().filter(|(_, it)| is_ranked(it)).collect();
        let holds = |(resident, (name, config)): (&Self, &(&str, &VectorConfig))| {
            resident.holds(name, config.size)
        };
        if multi.len() == residents.len() && residents.iter().zip(&multi).all(holds) {
            return Ok(residents.clone());
        }
        let count = multi.len().max(1) as u64;
        let open = |name: &str, dim| {
            let store = match budget {
                Some(budget) => ResidentStore::with_budget(gpu, dim, budget / count)?,
                None => ResidentStore::new(gpu, dim)?,
            };
            Ok(Self { name: name.into(), dim, store, known: Mutex::default() })
        };
        let residents = multi.into_iter().map(|(name, config)| open(name, config.size));
        residents.collect::<Result<Vec<_>>>().map(Arc::new)
    }

    /// Tells whether it is of this vector, of this size.
    pub fn holds(&self, name: &str, dim: usize) -> bool {
        self.name == name && self.dim == dim
    }

    /// Whose vector it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The store, by numbers.
    pub fn store(&self) -> &ResidentStore<PointNumber> {
        &self.store
    }

    /// Those of `numbers` that are not known to be resident.
    pub fn missing(&self, numbers: &PointSet) -> PointSet {
        numbers - &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings it to the state of a snapshot, as far as the budget goes. One caller at a time.
    pub fn follow(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let having = snapshot.having(&self.name)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for gone in &(&known - having) {
            self.store.remove(gone);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) &= having;
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let statistics = self.store.statistics();
        let mut room = statistics.budget_bytes.saturating_sub(statistics.used_bytes);
        for number in &(having - &known) {
            let Some(matrix) = snapshot.tokens(&self.name, number)? else { continue };
            let size = size_of_val(matrix.values());
            if size as u64 > room {
                break;
            }
            room -= size as u64;
            bytes += size;
            chunk.push((number, matrix));
            if bytes >= CHUNK_BYTES {
                self.load(&std::mem::take(&mut chunk))?;
                bytes = 0;
            }
        }
        self.load(&chunk)
    }

    fn load(&self, chunk: &[(PointNumber, crate::multivector::TokenMatrixRef<'_>)]) -> Result<()> {
        self.store.load(chunk, |_| {})?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(chunk.iter().map(|(number, _)| *number));
        Ok(())
    }
}

/// Returns `true` for vectors that MaxSim's kernels compare.
fn is_ranked(config: &VectorConfig) -> bool {
    config.kind == VectorKind::Multi && !config.distance.smaller_is_nearer()
}

/// Returns `true` if a request failed because a document is not, or no longer, where it was thought
/// to be.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotResident { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collection::{Collection, Point, Vector};
    use crate::filter::PointId;
    use crate::gpu::GpuOptions;
    use crate::recall::Distance;
    use crate::rerank::{Backend, Reranker};
    use crate::search::{Searcher, SearcherOptions};

    /// Ten rows for each of them, of four columns.
    fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
        let point =
            |id| Point::new(id).vector("v", Vector::Multi { values: vec![0.5; 40], dim: 4 });
        ids.map(point).collect()
    }

    #[test]
    fn deleted_and_replaced_points_leave_the_gpu() {
        match GpuContext::with_options(&GpuOptions::default()) {
            Err(Error::NoAdapter { .. })
                if std::env::var_os("MAXFOLD_REQUIRE_BACKENDS").is_none() =>
            {
                return eprintln!("skipped: there is no GPU");
            }
            context => drop(context.unwrap()),
        }
        let directory = tempfile::tempdir().unwrap();
        let config = CollectionConfig::new().vector("v", VectorConfig::multi(4, Distance::Dot));
        let collection = Collection::create(directory.path(), config).unwrap();
        let reranker = Reranker::new(Backend::Gpu).unwrap();
        let options = SearcherOptions::new().reranker(reranker).resident_bytes(1 << 20);
        let searcher = Searcher::with_options(collection, options).unwrap();
        let resident = || {
            searcher.flush().unwrap();
            let statistics = searcher.shared.residents()[0].store().statistics();
            (statistics.documents, statistics.used_bytes)
        };
        searcher.collection().upsert(points(0..100)).unwrap();
        let (documents, bytes) = resident();
        assert_eq!(documents, 100);
        searcher.collection().delete((0..70).map(PointId::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(resident(), (30, bytes * 3 / 10));
        // A point that is replaced has another number.
        searcher.collection().upsert(points(90..110)).unwrap();
        assert_eq!(resident(), (40, bytes * 4 / 10));
        searcher.collection().delete((70..110).map(PointId::from).collect::<Vec<_>>()).unwrap();
        assert_eq!(resident(), (0, 0));
        searcher.collection().upsert(points(0..10)).unwrap();
        assert_eq!(resident(), (10, bytes / 10));

        // Each of two has a half of the budget; of one that is dropped nothing stays.
        let budget = || searcher.shared.residents()[0].store().statistics().budget_bytes;
        let whole = budget();
        let another = VectorConfig::multi(8, Distance::Dot);
        searcher.collection().create_vector("w", another).unwrap();
        assert_eq!(resident(), (10, bytes / 10));
        assert_eq!((searcher.shared.residents().len(), budget()), (2, whole / 2));
        searcher.collection().delete_vector("v").unwrap();
        assert_eq!(resident(), (0, 0));
        assert!(searcher.shared.residents()[0].holds("w", 8));
    }
}
