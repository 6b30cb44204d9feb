//! Answer of a search: candidates, and the strategy that found them.

use std::fmt;

use super::Candidate;

/// The candidates of a search, and how they were found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recalled {
    /// Score descending, then document ascending.
    pub candidates: Vec<Candidate>,
    /// Plan that found them.
    pub strategy: Strategy,
    /// Number of documents that were scanned beside a walk, as they are [not linked](crate::recall::HnswBatch::append) yet.
    pub unlinked: usize,
}

/// Strategy by which candidates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By a walk on the graph: approximate.
    Graph {
        /// Number of near vectors that the walk keeps.
        ef: usize,
        /// Number that it would have to keep to find at least 95 % of the ten nearest, as far as a
        /// sample of the graph's own vectors tells; `None` where the graph is too small to be
        /// walked by itself.
        enough: Option<usize>,
    },
    /// By comparing every document that is allowed: exact.
    Scan {
        /// Number of allowed documents.
        documents: usize,
        /// Reason for which it is no walk.
        reason: ScanReason,
    },
}

/// Reason for which documents are scanned though there may be a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanReason {
    /// The search asks for it.
    Requested,
    /// There is no graph: `m` is 0.
    NoGraph,
    /// They are few and known: the candidates of an earlier stage.
    Candidates,
    /// A walk that finds enough allowed documents would take longer.
    Cheaper {
        /// Number of near vectors that the walk would have to keep.
        ef: usize,
    },
    /// A walk was done, and did not find enough.
    WalkFellShort {
        /// Number of allowed documents that it found.
        found: usize,
        /// Number of documents to be found, up to the limit.
        wanted: usize,
    },
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Graph { ef, enough: Some(enough) } if ef < enough => {
                write!(f, "graph walk with ef {ef}, likely to miss: ef {enough} would be enough")
            }
            Self::Graph { ef, .. } => write!(f, "graph walk with ef {ef}"),
            Self::Scan { documents, reason } => {
                write!(f, "exact scan of {documents} documents: {reason}")
            }
        }
    }
}

impl fmt::Display for ScanReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => write!(f, "as requested"),
            Self::NoGraph => write!(f, "there is no graph"),
            Self::Candidates => write!(f, "the candidates of an earlier stage"),
            Self::Cheaper { ef } => write!(f, "cheaper than a graph walk with ef {ef}"),
            Self::WalkFellShort { found, wanted } => {
                write!(f, "a graph walk found {found} of {wanted}")
            }
        }
    }
}
