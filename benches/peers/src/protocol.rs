//! Requests and answers, one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::collection::{Engine, Ingested, Quality, Shape};
use crate::edge::{Comparison, Datatype};
use crate::measure::Timing;
use crate::peer::Description;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// What is linked in.
    Describe,
    /// Reads a shape and makes its peers ready; `only` names those wanted, none for all.
    Load { documents: PathBuf, queries: PathBuf, threads: usize, only: Vec<String> },
    /// Reads points and puts them in a collection of Qdrant Edge in `folder`.
    Edge {
        documents: PathBuf,
        queries: PathBuf,
        threads: usize,
        datatype: Datatype,
        folder: PathBuf,
    },
    /// A step of the comparison of collections.
    Collection(Step),
    /// The scores of a peer, and how much memory its first call takes beside what was loaded.
    Score { peer: String },
    /// How long a call takes: the mean of as many as fill `at_least` seconds, after an untimed one.
    Time { peer: String, at_least: f64 },
}

/// What is done with Maxfold's collection and Qdrant Edge's.
#[derive(Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Makes points for both, which will be in `folder`.
    Points {
        #[serde(flatten)]
        shape: Shape,
        threads: usize,
        folder: PathBuf,
    },
    /// Makes an engine's collection of the points anew.
    Ingest { engine: Engine },
    /// Makes searches of so many candidates ready, in both.
    Searches { candidates: Vec<usize> },
    /// Opens Maxfold's, with its snapshot of the graph or without.
    Open { rebuild: bool },
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer {
    Description {
        openblas: String,
    },
    Loaded {
        peers: Vec<Description>,
        #[serde(skip_serializing_if = "Option::is_none")]
        comparison: Option<Comparison>,
    },
    Points {
        token_bytes: usize,
        dense_bytes: usize,
    },
    Ingested(Ingested),
    Searches {
        peers: Vec<Description>,
        quality: Vec<Quality>,
        /// Of a call.
        requests: usize,
    },
    Opened {
        seconds: f64,
    },
    Scores {
        scores: Vec<f32>,
        peak_bytes: u64,
    },
    Timed {
        #[serde(flatten)]
        timing: Timing,
        /// Operations of a call, where the worker knows better than the shape.
        flops: Option<f64>,
    },
    Failed {
        error: String,
    },
}
