//! What a search answers: candidates, and how they were found.

use std::fmt;

use super::Candidate;

/// The candidates of a search, and how they were found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Recalled {
    /// Score descending, then document ascending.
    pub candidates: Vec<Candidate>,
    /// How they were found.
    pub strategy: Strategy,
}

/// How candidates are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// By a walk on the graph: approximate.
    Graph {
        /// How many near vectors the walk keeps.
        ef: usize,
        /// How many it would have to keep to find at least 95 % of the ten nearest, as far as a sample of
        /// the graph's own vectors tells; `None` where the graph is too small to be walked by itself.
        enough: Option<usize>,
    },
    /// By comparing every document that is allowed: exact.
    Scan {
        /// How many are allowed.
        documents: usize,
        /// Why not by a walk.
        reason: ScanReason,
    },
}

/// Why documents are scanned though there is a graph.
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
        /// How many near vectors the walk would have to keep.
        ef: usize,
    },
    /// A walk was done, and did not find enough.
    WalkFellShort {
        /// How many allowed documents it found.
        found: usize,
        /// How many there are to be found, up to the limit.
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
