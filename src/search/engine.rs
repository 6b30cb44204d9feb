//! [`SearchEngine`]: documents in memory, recalled and reranked.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::request::Request;
use super::response::{Hit, Recall, Report, Response};
use crate::multivector::{
    DenseVectors, MultiVectors, TokenMatrix, TokenMatrixRef, check_dimension,
};
use crate::recall::{Allowed, Candidate, Distance, HnswIndex, HnswParams, Recalled};
use crate::rerank::{Backend, Ranking, Reranker};
use crate::{Error, Result};

/// What a [`SearchEngine`] is made with.
#[derive(Debug)]
pub struct EngineConfig {
    dense_dim: usize,
    token_dim: usize,
    distance: Distance,
    hnsw: HnswParams,
    reranker: Option<Reranker>,
}

impl EngineConfig {
    /// The dimensions of dense and of token vectors; cosine, default HNSW, [`Backend::Auto`].
    pub fn new(dense_dim: usize, token_dim: usize) -> Self {
        let (distance, hnsw) = (Distance::Cosine, HnswParams::default());
        Self { dense_dim, token_dim, distance, hnsw, reranker: None }
    }

    /// How dense vectors are compared.
    pub fn distance(self, distance: Distance) -> Self {
        Self { distance, ..self }
    }

    /// The parameters of the HNSW graph.
    pub fn hnsw(self, hnsw: HnswParams) -> Self {
        Self { hnsw, ..self }
    }

    /// What reranks.
    pub fn reranker(self, reranker: Reranker) -> Self {
        Self { reranker: Some(reranker), ..self }
    }
}

/// A document to be added.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<P = ()> {
    /// The caller's id; no two documents have the same.
    pub id: u64,
    /// For recall.
    pub dense: Vec<f32>,
    /// For MaxSim.
    pub tokens: TokenMatrix,
    /// Whatever the caller wants back with a hit; `()` for nothing.
    pub payload: P,
}

/// Documents in memory, recalled with HNSW and reranked with MaxSim.
#[derive(Debug)]
pub struct SearchEngine<P = ()> {
    /// Ids by document, and back. A document is a place in all of these.
    ids: Vec<u64>,
    documents: HashMap<u64, usize>,
    dense: HnswIndex,
    tokens: MultiVectors,
    payloads: Vec<P>,
    reranker: Reranker,
}

impl<P> SearchEngine<P> {
    /// No documents yet.
    ///
    /// # Errors
    /// A dimension of 0, or HNSW parameters out of range.
    pub fn new(config: EngineConfig) -> Result<Self> {
        Ok(Self {
            ids: Vec::new(),
            documents: HashMap::new(),
            dense: HnswIndex::new(config.distance, config.hnsw, config.dense_dim)?,
            tokens: MultiVectors::empty(config.token_dim)?,
            payloads: Vec::new(),
            reranker: match config.reranker {
                Some(reranker) => reranker,
                None => Reranker::new(Backend::Auto)?,
            },
        })
    }

    /// Adds documents, all or none; many at a time are indexed in parallel.
    ///
    /// # Errors
    /// An id that is taken or given twice; a vector of another dimension; a dense vector with NaN
    /// or infinity.
    pub fn add(&mut self, points: Vec<Point<P>>) -> Result<()> {
        let dense = self.check(&points)?;
        let first = u32::try_from(self.len()).unwrap_or(u32::MAX);
        if points.len() > (u32::MAX - first) as usize {
            return Err(Error::TooMany { what: "documents", most: u32::MAX });
        }
        self.dense.insert((first..).zip(dense.iter()))?;
        for point in points {
            self.documents.insert(point.id, self.ids.len());
            self.ids.push(point.id);
            self.tokens.push(point.tokens.view())?;
            self.payloads.push(point.payload);
        }
        Ok(())
    }

    /// Checks everything that could make [`SearchEngine::add`] stop halfway.
    fn check(&self, points: &[Point<P>]) -> Result<DenseVectors> {
        let mut dense = DenseVectors::empty(self.dense.dim())?;
        let mut new = HashMap::new();
        for (at, point) in points.iter().enumerate() {
            if self.documents.contains_key(&point.id) || new.insert(point.id, at).is_some() {
                return Err(Error::DuplicateId { id: point.id });
            }
            let in_point = |error: Error| error.in_point(point.id);
            dense.push(&point.dense).map_err(in_point)?;
            self.tokens.check(point.tokens.view()).map_err(in_point)?;
        }
        Ok(dense)
    }

    /// Answers a request.
    ///
    /// # Errors
    /// A query vector of another dimension, or a dense one with NaN or infinity.
    pub fn search(&self, request: &Request<'_>) -> Result<Response<'_, P>> {
        self.search_allowed(request, None)
    }

    /// Answers a request with documents that a filter lets through, by id and payload.
    ///
    /// # Errors
    /// As [`SearchEngine::search`].
    pub fn search_where(
        &self,
        request: &Request<'_>,
        filter: impl Fn(u64, &P) -> bool,
    ) -> Result<Response<'_, P>> {
        let start = Instant::now();
        let documents = 0..self.len();
        let allowed = documents.filter(|&it| filter(self.ids[it], &self.payloads[it])).collect();
        let filter_time = start.elapsed();
        let mut response = self.search_allowed(request, Some(&allowed))?;
        response.report.filter_time = filter_time;
        Ok(response)
    }

    fn search_allowed(
        &self,
        request: &Request<'_>,
        allowed: Option<&Allowed>,
    ) -> Result<Response<'_, P>> {
        let start = Instant::now();
        let Request { dense, tokens, prefetch, limit, params } = *request;
        self.check_query(tokens)?;
        let Recalled { candidates, strategy } =
            self.dense.search(dense, prefetch, params, allowed)?;
        let recall_time = start.elapsed();
        let places: HashMap<u64, Recall> =
            (1..).zip(&candidates).map(|at| self.place(at)).collect();
        let documents = candidates.iter().map(|candidate| candidate.document);
        let mut response = self.rerank_documents(tokens, documents, limit)?;
        for hit in &mut response.hits {
            hit.recall = places.get(&hit.id).copied();
        }
        let report = Report { recall: Some(strategy), recall_time, ..response.report };
        Ok(Response { report, ..response })
    }

    fn check_query(&self, tokens: TokenMatrixRef<'_>) -> Result<()> {
        check_dimension(|| "the query's token matrix".into(), self.tokens.dim(), tokens.dim())
    }

    fn place(&self, (rank, candidate): (usize, &Candidate)) -> (u64, Recall) {
        (self.ids[candidate.document], Recall { score: candidate.score, rank })
    }

    /// Ranks documents that the caller has recalled, by id.
    ///
    /// # Errors
    /// An id that was not added; a query of another dimension.
    pub fn rerank(
        &self,
        tokens: TokenMatrixRef<'_>,
        ids: &[u64],
        limit: usize,
    ) -> Result<Response<'_, P>> {
        self.check_query(tokens)?;
        let document =
            |id: &u64| self.documents.get(id).copied().ok_or(Error::UnknownId { id: *id });
        let documents = ids.iter().map(document).collect::<Result<Vec<_>>>()?;
        self.rerank_documents(tokens, documents.into_iter(), limit)
    }

    fn rerank_documents(
        &self,
        query: TokenMatrixRef<'_>,
        documents: impl Iterator<Item = usize>,
        limit: usize,
    ) -> Result<Response<'_, P>> {
        let start = Instant::now();
        let candidate = |document| Some((self.ids[document], self.tokens.get(document)?));
        let candidates: Vec<_> = documents.filter_map(candidate).collect();
        let Ranking { hits, execution } = self.reranker.rerank(query, &candidates, limit)?;
        let hits = hits.iter().map(|hit| Hit {
            id: hit.id,
            score: hit.score,
            recall: None,
            payload: &self.payloads[self.documents[&hit.id]],
        });
        let report = Report {
            recall: None,
            candidates: candidates.len(),
            rerank: execution,
            filter_time: Duration::ZERO,
            recall_time: Duration::ZERO,
            rerank_time: start.elapsed(),
        };
        Ok(Response { hits: hits.collect(), report })
    }

    /// The payload of a document.
    pub fn payload(&self, id: u64) -> Option<&P> {
        self.documents.get(&id).map(|&document| &self.payloads[document])
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// What reranks.
    pub fn reranker(&self) -> &Reranker {
        &self.reranker
    }
}
