//! Multivectors that stay in the GPU's memory, kept in step with the collection.

use std::sync::{Arc, Mutex, PoisonError};

use super::copies::{Copies, F16, Int8};
use crate::collection::{CollectionConfig, Snapshot, VectorConfig, VectorKind};
use crate::filter::PointNumber;
use crate::gpu::{GpuContext, QuantizedStore, ResidentStore, budget_of};
use crate::recall::Distance;
use crate::{Error, Result};

/// Those of all names.
pub(super) type Residents = Arc<Vec<Resident>>;

/// The resident multivectors of one name.
///
/// One that is kept in int8 is resident in both formats, as long as its budget has room for all in int8 beside f16; then in
/// int8 alone, and what bounds leave is sent along.
pub(super) struct Resident {
    name: String,
    dim: usize,
    gpu: GpuContext,
    budget: u64,
    stores: Mutex<Stores>,
}

/// Copies of a multivector.
#[derive(Clone)]
pub(super) struct Stores {
    pub exact: Option<Arc<Copies<F16>>>,
    /// Of one that is kept in int8.
    pub quantized: Option<Arc<Copies<Int8>>>,
}

impl Stores {
    /// In f16, and, if it is kept in int8, in that: the budget is shared so that both hold the same points.
    fn new(gpu: &GpuContext, dim: usize, budget: u64, int8: bool) -> Result<Self> {
        let (exact, quantized) = (
            ResidentStore::<PointNumber>::row_bytes_of(dim) as f64,
            QuantizedStore::<PointNumber>::row_bytes_of(dim) as f64,
        );
        let share = quantized / (exact + quantized);
        let share = if int8 { (budget as f64 * share) as u64 } else { 0 };
        let exact = ResidentStore::with_budget(gpu, dim, budget - share)?;
        let quantized = int8.then(|| QuantizedStore::with_budget(gpu, dim, share)).transpose()?;
        let quantized = quantized.map(|it| Arc::new(Copies::new(it)));
        Ok(Self { exact: Some(Arc::new(Copies::new(exact))), quantized })
    }

    /// In int8 alone.
    fn of_int8(gpu: &GpuContext, dim: usize, budget: u64) -> Result<Self> {
        let quantized = QuantizedStore::with_budget(gpu, dim, budget)?;
        Ok(Self { exact: None, quantized: Some(Arc::new(Copies::new(quantized))) })
    }

    /// Bytes of their rows.
    pub fn used_bytes(&self) -> u64 {
        let exact = self.exact.as_ref().map_or(0, |it| it.statistics().used_bytes);
        exact + self.quantized.as_ref().map_or(0, |it| it.statistics().used_bytes)
    }
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
        let is_kept = |(resident, (name, vector)): (&Self, &(&str, &VectorConfig))| {
            let int8 = resident.stores().quantized.is_some();
            resident.holds(name, vector.columns()) && int8 == config.is_quantized(vector)
        };
        if multi.len() == residents.len() && residents.iter().zip(&multi).all(is_kept) {
            return Ok(residents.clone());
        }
        let count = multi.len().max(1) as u64;
        let budget = budget.map_or_else(|| budget_of(gpu), |all| all / count);
        let residents = multi.into_iter().map(|(name, vector)| {
            let stores = Stores::new(gpu, vector.columns(), budget, config.is_quantized(vector))?;
            let (name, gpu, stores) = (name.into(), gpu.clone(), Mutex::new(stores));
            Ok(Self { name, dim: vector.columns(), gpu, budget, stores })
        });
        residents.collect::<Result<Vec<_>>>().map(Arc::new)
    }

    /// Tells whether it is of this vector, of this size.
    pub fn holds(&self, name: &str, dim: usize) -> bool {
        self.name == name && self.dim == dim
    }

    /// Name of the vector.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The copies as they are now.
    pub fn stores(&self) -> Stores {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings it to the state of a snapshot, as far as the budget goes. One caller at a time.
    pub fn follow(&self, snapshot: &Snapshot<'_>) -> Result<()> {
        let Stores { exact, quantized } = self.stores();
        let all_in_int8 = match &quantized {
            Some(quantized) => quantized.follow(snapshot, &self.name)?,
            None => true,
        };
        match exact {
            Some(exact) if all_in_int8 => exact.follow(snapshot, &self.name).map(drop),
            None => Ok(()),
            Some(exact) => {
                // Readers may still have them, for as long as their requests take.
                drop((exact, quantized));
                let stores = Stores::of_int8(&self.gpu, self.dim, self.budget)?;
                let quantized = stores.quantized.clone();
                *self.stores.lock().unwrap_or_else(PoisonError::into_inner) = stores;
                quantized.map_or(Ok(()), |it| it.follow(snapshot, &self.name).map(drop))
            }
        }
    }
}

/// Returns `true` for vectors that MaxSim's kernels compare.
fn is_ranked(config: &VectorConfig) -> bool {
    config.kind == VectorKind::Multi && config.distance != Distance::Manhattan
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
            let statistics =
                searcher.shared.residents()[0].stores().exact.unwrap().store.statistics();
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
        let budget = || {
            searcher.shared.residents()[0].stores().exact.unwrap().store.statistics().budget_bytes
        };
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
