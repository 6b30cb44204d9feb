//! [`Snapshot`]: a collection as one transaction sees it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use heed::{RoTxn, WithoutTls};

use super::config::{Shape, VectorConfig, VectorKind};
use super::postings;
use super::record::{self, Table};
use super::sparse::SparseVector;
use super::state::State;
use super::{Collection, CollectionConfig, PayloadIndex, Point, Tokens, Values, Vector};
use crate::filter::{
    FieldPath, Filter, IndexKind, Payload, PointId, PointNumber, PointSet, Points, Selected, Span,
    TextParams,
};
use crate::multivector::{TokenMatrix, TokenMatrixRef, without_norms};
use crate::{Error, Result};

/// A collection as it is at one moment, whatever is written meanwhile.
///
/// Points have numbers, ascending in the order in which they were written. A number's vectors never
/// change: an upsert of an id that is there gives a new number. Token matrices are borrowed from the
/// map of the file. As long as a snapshot lives, the file can't reuse the space of what is deleted.
///
/// ```
/// use maxfold::{Collection, CollectionConfig, Distance, Point, VectorConfig};
///
/// let config = CollectionConfig::new().vector("dense", VectorConfig::dense(2, Distance::Dot));
/// let collection = Collection::temporary(config)?;
/// collection.upsert(vec![Point::new(1).vector("dense", vec![0.5, 1.0])])?;
///
/// let before = collection.snapshot()?;
/// collection.delete([1])?;
/// let number = before.number(1.into())?.unwrap();
/// assert_eq!(before.dense("dense", number)?.unwrap(), [0.5, 1.0]);
/// assert!(collection.snapshot()?.is_empty());
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct Snapshot<'c> {
    pub(super) collection: &'c Collection,
    pub(super) txn: RoTxn<'c, WithoutTls>,
    pub(super) state: Arc<State>,
}

impl Collection {
    /// The collection as it is now.
    ///
    /// # Errors
    /// About a thousand snapshots live already; a record is damaged or can't be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>> {
        Snapshot::new(self)
    }
}

impl<'c> Snapshot<'c> {
    pub(super) fn new(collection: &'c Collection) -> Result<Self> {
        let (txn, transaction) = State::begin(&collection.store)?;
        let state = collection.state(&txn, transaction)?;
        Ok(Self { collection, txn, state })
    }

    /// The number of the transaction that this is the state after; it rises with every batch.
    pub fn transaction(&self) -> u64 {
        self.state.transaction
    }

    /// A number that no other state of the collection has, or of a copy of it; not yet, if it was last written before
    /// there were such.
    pub(crate) fn state_id(&self) -> Option<u64> {
        self.state.id
    }

    /// The configuration that it has then.
    pub fn config(&self) -> &Arc<CollectionConfig> {
        &self.state.schema.config
    }

    /// The slot of a vector.
    pub(crate) fn slot_of(&self, name: &str) -> Result<u8> {
        Ok(self.state.schema.slot(name)?.0)
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.collection.is_read_only()
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.state.all.len() as usize
    }

    /// Returns `true` if there are no points.
    pub fn is_empty(&self) -> bool {
        self.state.all.is_empty()
    }

    /// The numbers of all points.
    pub fn numbers(&self) -> &PointSet {
        &self.state.all
    }

    /// The number that the next point will get: all there are, and ever were, are less.
    pub fn next_number(&self) -> u64 {
        self.state.next
    }

    /// The numbers of the points that have the vector `name`.
    ///
    /// # Errors
    /// There is no such vector.
    pub fn having(&self, name: &str) -> Result<&PointSet> {
        let (slot, _) = self.state.schema.slot(name)?;
        Ok(&self.state.having[usize::from(slot)])
    }

    /// The payload indexes.
    pub fn indexes(&self) -> impl ExactSizeIterator<Item = &PayloadIndex> {
        self.state.indexes.iter().map(|(_, index)| index)
    }

    /// Number of points whose field a payload index has something of.
    #[cfg(feature = "server")]
    pub(crate) fn indexed(&self, index: &PayloadIndex) -> Result<u64> {
        let spans = [Span::filled()];
        Points::with_keys(self, &index.field, &index.kind, &spans).map(|points| points.len())
    }

    /// The points that match a filter.
    ///
    /// # Errors
    /// A record is damaged or can't be read.
    pub fn select(&self, filter: &Filter) -> Result<Selected> {
        filter.select(self)
    }

    /// The number of a point.
    ///
    /// # Errors
    /// A record is damaged or can't be read.
    pub fn number(&self, id: PointId) -> Result<Option<PointNumber>> {
        let key = record::id_key(id);
        let damaged = || self.collection.store.damaged(Table::Ids, &key);
        let body = self.collection.store.get(&self.txn, Table::Ids, &key)?;
        body.map(|body| record::parse_number(body).ok_or_else(damaged)).transpose()
    }

    /// The id of a point.
    ///
    /// # Errors
    /// As [`Snapshot::payload`].
    pub fn id(&self, number: PointNumber) -> Result<PointId> {
        let (key, body) = self.point(number)?;
        record::parse_point_id(body)
            .ok_or_else(|| self.collection.store.damaged(Table::Points, &key))
    }

    /// The id and the payload of a point.
    ///
    /// # Errors
    /// No point has this number; a record is damaged or can't be read.
    pub fn payload(&self, number: PointNumber) -> Result<(PointId, Payload)> {
        let (key, body) = self.point(number)?;
        record::parse_point(body).ok_or_else(|| self.collection.store.damaged(Table::Points, &key))
    }

    /// The version of a point: the number of the transaction that wrote it last, and 0 if that was one of
    /// version 1 of the format.
    ///
    /// # Errors
    /// As [`Snapshot::payload`].
    pub fn version(&self, number: PointNumber) -> Result<u64> {
        Ok(self.head(number)?.1)
    }

    /// The id and the version of a point.
    pub(crate) fn head(&self, number: PointNumber) -> Result<(PointId, u64)> {
        let (key, body) = self.point(number)?;
        record::parse_head(body).ok_or_else(|| self.collection.store.damaged(Table::Points, &key))
    }

    /// The record of a point, with its key.
    fn point(&self, number: PointNumber) -> Result<([u8; 4], &[u8])> {
        if !self.state.all.contains(number) {
            let (expected, got) = ("that of a point".into(), number.to_string());
            return Err(Error::InvalidParameter { name: "the number", expected, got });
        }
        let key = record::point_key(number);
        let store = &self.collection.store;
        let body = store.get(&self.txn, Table::Points, &key)?;
        body.map(|body| (key, body)).ok_or_else(|| store.damaged(Table::Points, &key))
    }

    /// The slot and the configuration of a vector, which is to be of this shape.
    pub(super) fn slot(&self, name: &str, shape: Shape) -> Result<(u8, &VectorConfig)> {
        let (slot, config) = self.state.schema.slot(name)?;
        match config.kind.shape() {
            got if got == shape => Ok((slot, config)),
            other => Err(shape.expected(name, other)),
        }
    }

    /// The dense vector `name` of a point, as it is compared: with [`Distance::Cosine`] at length 1.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record is damaged or can't be read.
    ///
    /// [`Distance::Cosine`]: crate::recall::Distance::Cosine
    pub fn dense(&self, name: &str, number: PointNumber) -> Result<Option<Vec<f32>>> {
        let (slot, config) = self.slot(name, Shape::Dense)?;
        if !self.state.having[usize::from(slot)].contains(number) {
            return Ok(None);
        }
        let key = record::vector_key(slot, number);
        let damaged = || self.collection.store.damaged(Table::Vectors, &key);
        let body = self.collection.store.get(&self.txn, Table::Vectors, &key)?;
        let values = body.and_then(|body| record::parse_dense(body, config.size));
        values.map(Some).ok_or_else(damaged)
    }

    /// The multivector `name` of a point, as it is compared, in place: with [`Distance::Euclid`] its rows have two more columns,
    /// four times the first of which and 1/512 of the second are −‖row‖² / 2.
    ///
    /// The checksum is compared at the first reading since the collection was opened.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record is damaged or can't be read.
    ///
    /// [`Distance::Euclid`]: crate::recall::Distance::Euclid
    pub fn tokens(&self, name: &str, number: PointNumber) -> Result<Option<TokenMatrixRef<'_>>> {
        let (slot, config) = self.slot(name, Shape::Multi)?;
        if !self.state.having[usize::from(slot)].contains(number) {
            return Ok(None);
        }
        self.matrix(slot, config, number).map(Some)
    }

    /// The same without columns that the vector wasn't given with.
    fn plain_tokens(&self, name: &str, number: PointNumber) -> Result<Option<TokenMatrix>> {
        let Some(matrix) = self.tokens(name, number)? else { return Ok(None) };
        let has_norms = self.config().get(name)?.has_norms();
        Ok(Some(if has_norms { without_norms(matrix) } else { matrix.to_owned() }))
    }

    /// The rows of a multivector that is kept in f32, as it is compared: with cosine at length 1.
    pub(crate) fn rows(&self, name: &str, number: PointNumber) -> Result<Option<Vec<f32>>> {
        let (slot, config) = self.slot(name, Shape::Multi)?;
        if !self.state.having[usize::from(slot)].contains(number) {
            return Ok(None);
        }
        let key = record::vector_key(slot, number);
        let body = self.collection.store.get(&self.txn, Table::Rows, &key)?;
        let rows = body.and_then(|body| record::parse_rows(body, config.size));
        rows.map(Some).ok_or_else(|| self.collection.store.damaged(Table::Rows, &key))
    }

    /// The rows of a multivector as precise as they are kept.
    pub(crate) fn rows_in_f32(&self, name: &str, number: PointNumber) -> Result<Option<Vec<f32>>> {
        let (_, config) = self.slot(name, Shape::Multi)?;
        if config.has_rows() {
            return self.rows(name, number);
        }
        Ok(self.plain_tokens(name, number)?.map(|matrix| matrix.values().to_f32_vec()))
    }

    /// The length of the longest row that the multivector `name`, kept in f32 or with norms, has in any point.
    pub(crate) fn longest_row(&self, name: &str) -> Result<f64> {
        let (slot, _) = self.slot(name, Shape::Multi)?;
        Ok(self.state.longest[usize::from(slot)])
    }

    /// The sparse vector `name` of a point, in the order of its indices.
    ///
    /// # Errors
    /// There is no such vector, or it is of another kind; a record is damaged or can't be read.
    pub fn sparse(&self, name: &str, number: PointNumber) -> Result<Option<Vector>> {
        Ok(self.sparse_vector(name, number)?.map(Vector::from))
    }

    fn sparse_vector(&self, name: &str, number: PointNumber) -> Result<Option<SparseVector>> {
        let (slot, _) = self.slot(name, Shape::Sparse)?;
        if !self.state.having[usize::from(slot)].contains(number) {
            return Ok(None);
        }
        postings::vector(&self.collection.store, &self.txn, slot, number).map(Some)
    }

    pub(super) fn matrix(
        &self,
        slot: u8,
        config: &VectorConfig,
        number: PointNumber,
    ) -> Result<TokenMatrixRef<'_>> {
        let store = &self.collection.store;
        let key = record::vector_key(slot, number);
        let damaged = || store.damaged(Table::Vectors, &key);
        let known = self.collection.verified.contains(Table::Vectors, slot, number);
        let body = if known {
            let value = store.get_unchecked(&self.txn, Table::Vectors, &key)?;
            value.and_then(|value| value.get(record::CHECKSUM..))
        } else {
            store.get(&self.txn, Table::Vectors, &key)?
        };
        let values = body.and_then(|body| record::parse_tokens(body, config.columns()));
        let values = values.ok_or_else(damaged)?;
        if !known {
            self.collection.verified.insert(Table::Vectors, slot, number);
        }
        // Finite and whole when they were written, and not changed since, by the checksum.
        Ok(TokenMatrixRef::trusted(values, config.columns()))
    }

    /// A point with all its vectors, as they are compared.
    ///
    /// # Errors
    /// A record is damaged or can't be read.
    pub fn get(&self, id: PointId) -> Result<Option<Point>> {
        let Some(number) = self.number(id)? else { return Ok(None) };
        let (id, payload) = self.payload(number)?;
        let vectors = self.vectors(number, |_| true)?;
        Ok(Some(Point { id, vectors, payload }))
    }

    fn multivector(&self, name: &str, number: PointNumber) -> Result<Option<Tokens>> {
        let Some(matrix) = self.plain_tokens(name, number)? else { return Ok(None) };
        let (_, config) = self.slot(name, Shape::Multi)?;
        let rows = if config.has_rows() { self.rows(name, number)? } else { None };
        Ok(Some(Tokens::new(matrix, rows)))
    }

    /// The names of the vectors that a point has.
    pub(crate) fn vector_names(&self, number: PointNumber) -> Vec<&str> {
        let has = |slot: u8| self.state.having[usize::from(slot)].contains(number);
        self.state.schema.vectors().filter(|it| has(it.0)).map(|(_, name, _)| name).collect()
    }

    /// The fields with a text index.
    pub(crate) fn texts(&self) -> Vec<(FieldPath, TextParams)> {
        let text = |index: &PayloadIndex| match &index.kind {
            IndexKind::Text(params) => Some((index.field.clone(), params.clone())),
            _ => None,
        };
        self.indexes().filter_map(text).collect()
    }

    /// The vector `name` of a point that has it, as it is compared.
    pub(crate) fn vector(&self, name: &str, number: PointNumber) -> Result<Values> {
        let values = match self.config().get(name)?.kind {
            VectorKind::Dense(_) => self.dense(name, number)?.map(Values::Dense),
            VectorKind::Multi => self.multivector(name, number)?.map(Values::Tokens),
            VectorKind::Sparse(_) => self.sparse_vector(name, number)?.map(Values::Sparse),
        };
        values.ok_or_else(|| {
            let (expected, got) = ("that of a point with the vector".into(), number.to_string());
            Error::InvalidParameter { name: "the number", expected, got }
        })
    }

    /// The vectors of a point, as they are compared, of those names that are `wanted`.
    pub(crate) fn vectors(
        &self,
        number: PointNumber,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, Vector>> {
        let mut vectors = BTreeMap::new();
        let all = self.config().vectors();
        for (name, config) in all.filter(|(name, _)| wanted(name)) {
            let vector = match config.kind {
                VectorKind::Dense(_) => self.dense(name, number)?.map(Vector::Dense),
                VectorKind::Multi if config.has_rows() => {
                    let rows = self.rows(name, number)?;
                    rows.map(|values| Vector::Multi { values, dim: config.size })
                }
                VectorKind::Multi => {
                    self.plain_tokens(name, number)?.map(|it| Vector::from(it.view()))
                }
                VectorKind::Sparse(_) => self.sparse(name, number)?,
            };
            vectors.extend(vector.map(|vector| (name.to_owned(), vector)));
        }
        Ok(vectors)
    }
}

impl Points for Snapshot<'_> {
    fn all(&self) -> Result<Cow<'_, PointSet>> {
        Ok(Cow::Borrowed(&self.state.all))
    }

    fn indexes(&self, field: &FieldPath) -> Result<Vec<IndexKind>> {
        Ok(self.state.kinds(field))
    }

    fn with_keys(&self, field: &FieldPath, kind: &IndexKind, spans: &[Span]) -> Result<PointSet> {
        self.state.with_keys(&self.collection.store, &self.txn, (field, kind), spans)
    }

    fn with_ids(&self, ids: &BTreeSet<PointId>) -> Result<PointSet> {
        ids.iter().filter_map(|id| self.number(*id).transpose()).collect()
    }

    fn with_vector(&self, name: &str) -> Result<PointSet> {
        Ok(self.having(name).cloned().unwrap_or_default())
    }

    fn payload(&self, number: PointNumber) -> Result<(PointId, Payload)> {
        Snapshot::payload(self, number)
    }
}
