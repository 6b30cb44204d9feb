//! What is answered, and what happened.

use std::fmt;
use std::time::Duration;

use crate::recall::Strategy;
use crate::rerank::Execution;

/// The best documents of a request, in order, and what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Response<'a, P> {
    /// MaxSim score descending, then id ascending.
    pub hits: Vec<Hit<'a, P>>,
    /// What happened.
    pub report: Report,
}

/// A document that was found.
#[derive(Debug, PartialEq)]
pub struct Hit<'a, P> {
    /// Its id.
    pub id: u64,
    /// Its MaxSim score.
    pub score: f32,
    /// Where recall had it, if recall was part of the request.
    pub recall: Option<Recall>,
    /// Its payload.
    pub payload: &'a P,
}

// Not derived, because that would ask P to be Clone.
impl<P> Clone for Hit<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Hit<'_, P> {}

/// What recall thought of a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recall {
    /// The similarity of the dense vectors; larger is nearer.
    pub score: f32,
    /// Its place among the prefetched, from 1.
    pub rank: usize,
}

/// What happened in a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// How recall went about it, if it was part of the request.
    pub recall: Option<Strategy>,
    /// How many candidates were reranked.
    pub candidates: usize,
    /// What computed the MaxSim scores, and why.
    pub rerank: Execution,
    /// Time in the caller's filter.
    pub filter_time: Duration,
    /// Time in recall.
    pub recall_time: Duration,
    /// Time in rerank, copies included.
    pub rerank_time: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(strategy) = &self.recall {
            write!(f, "recall: {strategy}, {} µs; ", self.recall_time.as_micros())?;
        }
        let (candidates, micros) = (self.candidates, self.rerank_time.as_micros());
        write!(f, "rerank: {candidates} candidates on {}, {micros} µs", self.rerank)
    }
}
