//! The collection that points go to.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use maxfold::collection::{Collection, CollectionConfig, Point};

/// The collection, which is made when there is something to write to it.
pub struct Target<'a> {
    pub path: &'a Path,
    pub config: CollectionConfig,
    pub collection: Option<Collection>,
}

impl Target<'_> {
    /// Writes points in one transaction, and says so.
    pub fn commit(&mut self, points: Vec<Point>) -> Result<(), Box<dyn Error>> {
        let collection = match self.collection.take() {
            Some(collection) => collection.upsert(points).map(|()| collection)?,
            None => self.create(points)?,
        };
        let count = collection.snapshot()?.len();
        self.collection = Some(collection);
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "committed {count}")?;
        Ok(stdout.flush()?)
    }

    /// Makes the collection with its first points. If they are refused, nothing is left behind.
    fn create(&self, points: Vec<Point>) -> maxfold::Result<Collection> {
        let collection = Collection::create(self.path, self.config.clone())?;
        match collection.upsert(points) {
            Ok(()) => Ok(collection),
            Err(error) => collection.remove().and(Err(error)),
        }
    }

    /// The collection, made if it isn't there.
    pub fn into_collection(self) -> maxfold::Result<Collection> {
        match self.collection {
            Some(collection) => Ok(collection),
            None => Collection::create(self.path, self.config),
        }
    }
}
