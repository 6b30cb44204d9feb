//! [`QueryResponse`]: what a collection answers, and how it came to that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::collection::Vector;
use crate::decimal::spelled;
use crate::filter::{Payload, PointId};
use crate::json;
use crate::recall::Strategy;
use crate::rerank::Execution;

/// The points that a [`QueryRequest`](super::QueryRequest) asked for, best first, and how they were
/// found. In JSON `{"points": […], "plan": {…}}`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResponse {
    /// Better scores first, then smaller ids.
    pub points: Vec<ScoredPoint>,
    /// Plan that found them.
    pub plan: QueryPlan,
}

/// A point that was found; in JSON as Qdrant writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredPoint {
    /// Its id.
    pub id: PointId,
    /// Score: larger is nearer, except with the distance Euclid, where smaller is.
    pub score: f32,
    /// The part of its payload that was asked for.
    pub payload: Option<Payload>,
    /// The vectors that were asked for, by name, as they are compared.
    pub vectors: Option<BTreeMap<String, Vector>>,
}

/// Plan of a request: the stages that answered it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryPlan {
    /// The number of the transaction whose state was searched.
    pub transaction: u64,
    /// Number of transactions that the graphs, and copies on a GPU, were behind it.
    pub behind: u64,
    /// The prefetches, in their order.
    pub prefetch: Vec<Stage>,
    /// Stage that ranked the results.
    pub query: Stage,
    /// From the request to its answer.
    pub time: Duration,
}

/// One search among the points of a collection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// The vector that was compared.
    pub using: String,
    /// Number of points that could be found: they have the vector, match the filters, and they are
    /// among the candidates, if there were prefetches.
    pub allowed: u64,
    /// Number of payloads that were read to evaluate filters.
    pub payloads_read: u64,
    /// Method by which points were compared.
    pub method: Method,
    /// Number of points that were found.
    pub found: usize,
    /// Time to evaluate filters.
    pub filter_time: Duration,
    /// Time to find and compare points.
    pub time: Duration,
}

/// Method by which points were compared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Method {
    /// By a dense vector.
    Dense {
        /// By a walk or a scan, and why.
        strategy: Strategy,
        /// Number of points that were scanned because the graph doesn't have them yet.
        unindexed: u64,
    },
    /// By a sparse vector, every allowed point.
    Sparse {
        /// Number of indices of the query.
        indices: usize,
        /// Number of postings that were read for them.
        postings: u64,
    },
    /// By MaxSim, every allowed point.
    MaxSim {
        /// On which backend, and why.
        execution: Execution,
        /// Number of points that were scored again from f32, as rounding to f16 might have changed
        /// whether they are among the best.
        rescored: usize,
    },
}

impl QueryPlan {
    /// Execution of MaxSim, if there was any.
    pub fn execution(&self) -> Option<&Execution> {
        let stages = std::iter::once(&self.query).chain(&self.prefetch);
        stages.into_iter().find_map(|stage| match &stage.method {
            Method::MaxSim { execution, .. } => Some(execution),
            Method::Dense { .. } | Method::Sparse { .. } => None,
        })
    }

    fn to_json(&self) -> Value {
        let prefetch: Vec<Value> = self.prefetch.iter().map(Stage::to_json).collect();
        json!({
            "transaction": self.transaction,
            "behind": self.behind,
            "prefetch": prefetch,
            "query": self.query.to_json(),
            "micros": micros(self.time),
        })
    }
}

impl Stage {
    fn to_json(&self) -> Value {
        json!({
            "using": self.using,
            "allowed": self.allowed,
            "payloads_read": self.payloads_read,
            "method": self.method.to_string(),
            "found": self.found,
            "filter_micros": micros(self.filter_time),
            "micros": micros(self.time),
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Alone, the vector without a name is no object.
struct Vectors<'a>(&'a BTreeMap<String, Vector>);

impl Serialize for Vectors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.get("") {
            Some(vector) if self.0.len() == 1 => vector.serialize(serializer),
            _ => self.0.serialize(serializer),
        }
    }
}

impl Serialize for ScoredPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut point = serializer.serialize_map(None)?;
        point.serialize_entry("id", &self.id)?;
        point.serialize_entry("score", &spelled(self.score))?;
        json::entry(&mut point, "payload", self.payload.as_ref())?;
        json::entry(&mut point, "vector", self.vectors.as_ref().map(Vectors))?;
        point.end()
    }
}

impl Serialize for QueryPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl Serialize for QueryResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut response = serializer.serialize_map(Some(2))?;
        response.serialize_entry("points", &self.points)?;
        response.serialize_entry("plan", &self.plan)?;
        response.end()
    }
}

impl fmt::Display for QueryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, stage) in self.prefetch.iter().enumerate() {
            write!(f, "prefetch {at}: {stage}; ")?;
        }
        write!(f, "query: {}", self.query)?;
        match self.behind {
            0 => Ok(()),
            behind => write!(f, "; graphs are {behind} transactions behind"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { using, allowed, method, found, time, .. } = self;
        let micros = micros(*time);
        write!(f, "{using:?}, {allowed} points allowed, {method}, {found} found, {micros} µs")
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense { strategy, unindexed: 0 } => strategy.fmt(f),
            Self::Dense { strategy, unindexed } => {
                write!(f, "{strategy}, and a scan of {unindexed} points not in the graph yet")
            }
            Self::Sparse { indices, postings } => {
                write!(f, "{postings} postings of {indices} indices")
            }
            Self::MaxSim { execution, rescored: 0 } => write!(f, "MaxSim on {execution}"),
            Self::MaxSim { execution, rescored } => {
                write!(f, "MaxSim on {execution}, {rescored} scored again from f32")
            }
        }
    }
}
