//! Requests and answers, one line of JSON each.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// The scores of a peer, and how much memory its first call takes beside what was loaded.
    Score { peer: String },
    /// How long a call takes: the mean of as many as fill `at_least` seconds, after an untimed one.
    Time { peer: String, at_least: f64 },
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
