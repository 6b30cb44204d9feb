//! Points compared by a sparse vector: exactly, through its inverted index.

use super::outcome::Scored;
use super::reader::{Reader, Search};
use crate::Result;
use crate::collection::{SparseScores, SparseVector};
use crate::filter::PointSet;
use crate::search::Method;

/// The best of the `allowed` points that have an index in common with the query, and all that tie with
/// the last of them.
pub(super) fn contenders(
    reader: &Reader<'_, '_>,
    search: &Search<'_>,
    query: &SparseVector,
    allowed: &PointSet,
) -> Result<(Vec<Scored>, Method)> {
    let (snapshot, corpus) = (&reader.snapshot, reader.corpus(search.corpus)?);
    let scores =
        snapshot.sparse_scores(search.using, query, allowed, search.limit, corpus.as_ref())?;
    let SparseScores { scored, postings } = scores;
    Ok((scored, Method::Sparse { indices: query.len(), postings }))
}
