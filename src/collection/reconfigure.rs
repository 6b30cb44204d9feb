//! Configuration changed while a collection is in use.

use super::config_change::ConfigChange;
use super::{Collection, VectorConfig};
use crate::Result;
use crate::trace::span;

impl Collection {
    /// Adds a vector, which no point has yet. In one transaction, as all changes: a snapshot that was taken
    /// before doesn't know it.
    ///
    /// ```
    /// use maxfold::{Collection, CollectionConfig, Distance, Point, VectorConfig};
    ///
    /// let collection = Collection::temporary(CollectionConfig::new())?;
    /// collection.create_vector("dense", VectorConfig::dense(2, Distance::Dot))?;
    /// collection.upsert(vec![Point::new(1).vector("dense", vec![0.5, 1.0])])?;
    /// assert!(collection.delete_vector("dense")?);
    /// assert_eq!(collection.snapshot()?.len(), 1);
    /// # Ok::<(), maxfold::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::VectorExists`](crate::Error::VectorExists); a configuration that no vector can have; what the
    /// operating system or LMDB says.
    pub fn create_vector(&self, name: &str, config: VectorConfig) -> Result<()> {
        let _span = span!("create vector", name = name);
        self.write(|batch| {
            let schema = batch.state.schema.with_vector(name, config)?;
            batch.reconfigure(schema);
            Ok(())
        })
    }

    /// Drops a vector, and what all points have of it; the points stay. Tells whether there was one. Snapshots
    /// that were taken before go on as they are.
    ///
    /// # Errors
    /// Errors of the operating system or of LMDB.
    pub fn delete_vector(&self, name: &str) -> Result<bool> {
        let _span = span!("delete vector", name = name);
        self.write(|batch| match batch.state.schema.slot(name) {
            Ok(_) => batch.drop_vector(name).map(|()| true),
            Err(_) => Ok(false),
        })
    }

    /// Changes parameters: of graphs, of sparse vectors, and hints. A graph with other parameters is made anew;
    /// meanwhile answers are exact. Multivectors
    /// that are to be kept in int8 from now on are quantized in the same transaction.
    ///
    /// # Errors
    /// A name that no vector has; parameters that no collection can have; what the operating system or LMDB says.
    pub fn update_config(&self, change: &ConfigChange) -> Result<()> {
        let _span = span!("update config");
        self.write(|batch| {
            let config = change.made(&batch.state.schema.config)?;
            let old = batch.state.schema.clone();
            batch.reconfigure(old.with_config(config));
            batch.requantize(&old)
        })
    }
}
