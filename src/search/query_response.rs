//! [`QueryResponse`]: what a collection answers, and how it came to that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::query::OrderValue;
use crate::collection::{NamedVectors, Vector};
use crate::decimal::spelled;
use crate::filter::{Payload, PointId};
use crate::json;
use crate::ranking::{Certified, TokenMatch};
use crate::recall::{Distance, Strategy};
use crate::rerank::Execution;

/// The points that a [`QueryRequest`](super::QueryRequest) asked for, best first, and how they were
/// found. In JSON `{"points": […], "plan": {…}}`.
///
/// ```
/// use maxfold::{Collection, CollectionConfig, Distance, Point, QueryRequest, Searcher, VectorConfig};
///
/// let config = CollectionConfig::new().vector("dense", VectorConfig::dense(2, Distance::Dot));
/// let searcher = Searcher::new(Collection::temporary(config)?)?;
/// searcher.collection().upsert(vec![Point::new(7).vector("dense", vec![0.5, 1.0])])?;
///
/// let response = searcher.query(&QueryRequest::new(vec![1.0, 1.0]).using("dense"))?;
/// assert_eq!((response.points[0].id, response.points[0].score), (7.into(), 1.5));
/// // "query: "dense", 1 points allowed, exact scan of 1 documents: …"
/// println!("{}", response.plan);
/// assert_eq!(serde_json::to_value(&response)?["points"][0]["id"], 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResponse {
    /// Better scores first, then smaller ids; or in the order that was asked for.
    pub points: Vec<ScoredPoint>,
    /// Plan that found them.
    pub plan: QueryPlan,
}

/// A point that was found; in JSON as Qdrant writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredPoint {
    /// Its id.
    pub id: PointId,
    /// Number of the transaction that wrote it last.
    pub version: u64,
    /// Score: larger is nearer, except with the distances Euclid and Manhattan, where smaller is; 1 where nothing is scored.
    pub score: f32,
    /// The value that it is ordered by, with [`OrderBy`](super::OrderBy).
    pub order_value: Option<OrderValue>,
    /// The part of its payload that was asked for.
    pub payload: Option<Payload>,
    /// The vectors that were asked for, by name, as they are compared.
    pub vectors: Option<BTreeMap<String, Vector>>,
    /// For each token of a multivector query, if asked for, the token of the point that it matched.
    pub matches: Option<Vec<TokenMatch>>,
}

/// Plan of a request: the stages that answered it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryPlan {
    /// The number of the transaction whose state was searched.
    pub transaction: u64,
    /// Number of transactions that the graphs, and copies on a GPU, were behind it.
    pub behind: u64,
    /// Stage that ranked the results, with those that found its candidates.
    pub query: Stage,
    /// Time to read what the answer says of its points: payloads, vectors, and what tokens matched.
    pub results_time: Duration,
    /// From the request to its answer.
    pub time: Duration,
}

/// One search among the points of a collection.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stage {
    /// Stages that found its candidates: the prefetches, in their order.
    pub prefetch: Vec<Stage>,
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
    /// Time to find and compare points, without that of the prefetches.
    pub time: Duration,
    /// Tells whether an equal stage had been run before in the same call, so that this one cost nothing.
    pub shared: bool,
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
        /// Backend that scored, and why.
        execution: Execution,
        /// Number of points that were scored again from f32, as rounding to f16 might have changed
        /// whether they are among the best.
        rescored: usize,
        /// Points that were bounded from int8 first, and how many of them had to be scored; `None` if bounds are not
        /// kept, or would not have paid.
        certified: Option<Certified>,
    },
    /// By the distances of rows, every allowed point, from f32 on the CPU: of multivectors with a distance that
    /// is not a product.
    RowDistances {
        /// Distance of rows.
        distance: Distance,
    },
    /// By the similarities to several examples, every allowed point.
    Examples {
        /// Number of examples.
        count: usize,
        /// Backend that scored, and why, if they are multivectors.
        execution: Option<Execution>,
    },
    /// By similarity and diversity, among the nearest.
    Mmr {
        /// Number of nearest points among which was chosen.
        candidates: usize,
        /// Method by which those were found.
        nearest: Box<Method>,
    },
    /// By ranks in the prefetches.
    Rrf,
    /// By the distribution of scores in the prefetches.
    Dbsf,
    /// By a formula, from scores of the prefetches and from payloads.
    Formula,
    /// By a payload field.
    OrderBy {
        /// Number of payloads that were read for that.
        payloads_read: u64,
    },
    /// At random.
    Sample,
    /// By ids.
    Ids,
}

impl QueryPlan {
    /// Execution of MaxSim, if there was any: of the last stage that has one.
    pub fn execution(&self) -> Option<&Execution> {
        self.query.execution()
    }

    fn to_json(&self) -> Value {
        json!({
            "transaction": self.transaction,
            "behind": self.behind,
            "query": self.query.to_json(),
            "results_micros": micros(self.results_time),
            "micros": micros(self.time),
        })
    }
}

impl Stage {
    fn execution(&self) -> Option<&Execution> {
        self.method.execution().or_else(|| self.prefetch.iter().find_map(Self::execution))
    }

    fn to_json(&self) -> Value {
        let prefetch: Vec<Value> = self.prefetch.iter().map(Self::to_json).collect();
        let mut stage = json!({
            "using": self.using,
            "allowed": self.allowed,
            "payloads_read": self.payloads_read,
            "method": self.method.to_string(),
            "found": self.found,
            "filter_micros": micros(self.filter_time),
            "micros": micros(self.time),
        });
        if !prefetch.is_empty() {
            stage["prefetch"] = prefetch.into();
        }
        if self.shared {
            stage["shared"] = true.into();
        }
        stage
    }

    /// Writes a stage after those that found its candidates, each with its place in the tree.
    fn describe(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        for (at, stage) in self.prefetch.iter().enumerate() {
            let place = name.strip_prefix("prefetch ").map_or(String::new(), |it| format!("{it}."));
            stage.describe(f, &format!("prefetch {place}{at}"))?;
            f.write_str("; ")?;
        }
        write!(f, "{name}: {self}")
    }
}

impl Method {
    fn execution(&self) -> Option<&Execution> {
        match self {
            Self::MaxSim { execution, .. } => Some(execution),
            Self::Examples { execution, .. } => execution.as_ref(),
            Self::Mmr { nearest, .. } => nearest.execution(),
            _ => None,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `[{"token": 3, "similarity": 0.5}, …]`, one a query token.
struct Matches<'a>(&'a [TokenMatch]);

impl Serialize for Matches<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|TokenMatch { token, similarity }| {
            json!({"token": token, "similarity": spelled(*similarity)})
        }))
    }
}

impl Serialize for ScoredPoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut point = serializer.serialize_map(None)?;
        point.serialize_entry("id", &self.id)?;
        point.serialize_entry("version", &self.version)?;
        point.serialize_entry("score", &spelled(self.score))?;
        json::entry(&mut point, "order_value", self.order_value)?;
        json::entry(&mut point, "payload", self.payload.as_ref())?;
        json::entry(&mut point, "vector", self.vectors.as_ref().map(NamedVectors))?;
        json::entry(&mut point, "matches", self.matches.as_deref().map(Matches))?;
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
        self.query.describe(f, "query")?;
        write!(f, "; results read in {} µs", micros(self.results_time))?;
        match self.behind {
            0 => Ok(()),
            behind => write!(f, "; graphs are {behind} transactions behind"),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { using, allowed, method, found, time, .. } = self;
        if method.compares_vectors() {
            write!(f, "{using:?}, ")?;
        }
        let micros = micros(*time);
        write!(f, "{allowed} points allowed, {method}, {found} found, {micros} µs")?;
        if self.shared { f.write_str(" before") } else { Ok(()) }
    }
}

impl Method {
    fn compares_vectors(&self) -> bool {
        matches!(
            self,
            Self::Dense { .. }
                | Self::MaxSim { .. }
                | Self::RowDistances { .. }
                | Self::Examples { .. }
                | Self::Mmr { .. }
        )
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense { strategy, unindexed: 0 } => strategy.fmt(f),
            Self::Dense { strategy: Strategy::Scan { documents: 0, .. }, unindexed } => {
                write!(f, "exact scan of {unindexed} points, none of them in the graph yet")
            }
            Self::Dense { strategy, unindexed } => {
                write!(f, "{strategy}, and a scan of {unindexed} points not in the graph yet")
            }
            Self::Sparse { indices, postings } => {
                write!(f, "{postings} postings of {indices} indices")
            }
            Self::MaxSim { execution, rescored, certified } => {
                write!(f, "MaxSim on {execution}")?;
                if let Some(Certified { bounded, scored }) = certified {
                    write!(f, ", certified: {bounded} bounded, {scored} scored")?;
                }
                match rescored {
                    0 => Ok(()),
                    _ => write!(f, ", {rescored} scored again from f32"),
                }
            }
            Self::RowDistances { distance } => write!(f, "rows compared by {distance} on the CPU"),
            Self::Examples { count, execution: None } => {
                write!(f, "compared with {count} examples")
            }
            Self::Examples { count, execution: Some(execution) } => {
                write!(f, "compared with {count} examples, MaxSim on {execution}")
            }
            Self::Mmr { candidates, nearest } => {
                write!(f, "diverse ones of the {candidates} nearest, by {nearest}")
            }
            Self::Rrf => f.write_str("reciprocal rank fusion"),
            Self::Dbsf => f.write_str("distribution-based score fusion"),
            Self::Formula => f.write_str("a formula"),
            Self::OrderBy { payloads_read } => {
                write!(f, "ordered by a field of {payloads_read} payloads")
            }
            Self::Sample => f.write_str("a random sample"),
            Self::Ids => f.write_str("by ids"),
        }
    }
}
