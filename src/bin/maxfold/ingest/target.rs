//! The collection that points go to.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use maxfold::collection::{
    Collection, CollectionConfig, Operation, PayloadIndex, Point, Selector, UpsertOptions,
};
use maxfold::filter::{Condition, Filter, IndexKind, Match, PointId, Test};

use crate::model::{self, BYTES, DOCUMENT, PASSAGE};

/// The collection, which is made when there is something to write to it.
pub struct Target<'a> {
    pub path: &'a Path,
    pub config: CollectionConfig,
    pub collection: Option<Collection>,
    /// Some points are passages, and their documents are indexed.
    has_passages: bool,
}

/// Points that are written together.
#[derive(Default)]
pub struct Batch {
    pub points: Vec<Point>,
    /// Documents whose last points are among them, with all points that they are now.
    pub documents: Vec<(PointId, Vec<PointId>)>,
}

impl<'a> Target<'a> {
    /// A collection, in which some points are passages, or are to be.
    pub fn new(
        path: &'a Path,
        config: CollectionConfig,
        collection: Option<Collection>,
        with_passages: bool,
    ) -> maxfold::Result<Self> {
        let mut has_passages = with_passages;
        if let Some(collection) = &collection {
            match with_passages {
                true => collection.create_index(by_document()?)?,
                false => has_passages = model::has_passages(collection)?,
            }
        }
        Ok(Self { path, config, collection, has_passages })
    }

    /// Writes points in one transaction, and says so.
    pub fn commit(&mut self, batch: Batch) -> Result<(), Box<dyn Error>> {
        let collection = match self.collection.take() {
            Some(collection) => self.replace(&collection, batch).map(|()| collection)?,
            None => self.create(batch.points)?,
        };
        let count = collection.snapshot()?.len();
        self.collection = Some(collection);
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "committed {count}")?;
        Ok(stdout.flush()?)
    }

    /// Writes points in the place of those that were there of their documents.
    fn replace(&self, collection: &Collection, batch: Batch) -> maxfold::Result<()> {
        let Batch { points, documents } = batch;
        let gone = documents.iter().filter(|(_, points)| points.is_empty()).map(|(id, _)| *id);
        let gone = Operation::Delete(Selector::Ids(gone.collect()));
        let mut changes =
            vec![Operation::Upsert { points, options: UpsertOptions::default() }, gone];
        if self.has_passages {
            let outdated = documents.into_iter().map(|(id, points)| outdated(id, points));
            changes.extend(outdated.collect::<maxfold::Result<Vec<_>>>()?);
        }
        collection.apply(changes).map(drop)
    }

    /// Makes the collection with its first points. If they are refused, nothing is left behind.
    fn create(&self, points: Vec<Point>) -> maxfold::Result<Collection> {
        let collection = Collection::create(self.path, self.config.clone())?;
        let indexed = match self.has_passages {
            true => by_document().and_then(|index| collection.create_index(index)),
            false => Ok(()),
        };
        match indexed.and_then(|()| collection.upsert(points)) {
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

/// The index by which the passages of a document are found.
fn by_document() -> maxfold::Result<PayloadIndex> {
    PayloadIndex::new(DOCUMENT, IndexKind::Keyword)
}

/// Removes the passages that there are of a document besides these points.
fn outdated(document: PointId, points: Vec<PointId>) -> maxfold::Result<Operation> {
    let filled = |key| Condition::field(key, Test::IsEmpty(false));
    let filter = Filter::new()
        .must(Condition::field(DOCUMENT, Match::value(document.to_string()))?)
        // Points of somebody else's may have a document, too.
        .must(filled(PASSAGE)?)
        .must(filled(BYTES)?)
        .must_not(Condition::has_id(points));
    Ok(Operation::Delete(filter.into()))
}
