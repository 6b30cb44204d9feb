//! A collection of Maxfold beside one of Qdrant Edge: ingest, searches, size, open.
//!
//! | file | holds |
//! |---|---|
//! | `points.rs` | the points, and the requests |
//! | `ours.rs`, `theirs.rs` | each engine, through its public API |
//! | `quality.rs` | how much of the right answer each finds |

pub mod ours;
pub mod points;
mod quality;
pub mod theirs;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use maxfold::search::Searcher;
use qdrant_edge::EdgeShard;
use serde::{Deserialize, Serialize};

use points::Points;
pub use points::Shape;
pub use quality::Quality;

use crate::edge_json;
use crate::peer::Peer;

pub const DENSE: &str = "dense";
pub const TOKENS: &str = "tokens";

/// Of both graphs.
const M: usize = 16;
const EF_CONSTRUCT: usize = 100;

/// Points of a call that writes.
pub const BATCH: usize = 500;
/// Hits of a search.
const LIMIT: usize = 10;
/// Requests of a call that is timed, one after the other.
pub const REQUESTS: usize = 8;

/// A point, and its score.
pub type Hit = (u64, f32);

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    Maxfold,
    Edge,
}

/// Seconds, and what is on the disk afterwards.
#[derive(Default, Serialize)]
pub struct Ingested {
    upsert: f64,
    /// Building the graph: Edge's optimiser, Maxfold's searcher.
    index: f64,
    save: f64,
    disk_bytes: u64,
}

/// The points, and the collections that hold them.
pub struct Bench {
    points: Points,
    threads: usize,
    folder: PathBuf,
    maxfold: Option<Arc<Searcher>>,
    edge: Option<Arc<EdgeShard>>,
}

impl Bench {
    pub fn new(shape: Shape, threads: usize, folder: PathBuf) -> Self {
        Self { points: Points::random(shape), threads, folder, maxfold: None, edge: None }
    }

    /// Of the rows in f16, and of the dense vectors in f32.
    pub fn bytes(&self) -> (usize, usize) {
        self.points.bytes()
    }

    /// Makes an engine's collection anew.
    pub fn ingest(&mut self, engine: Engine) -> Result<Ingested> {
        let folder = self.emptied(engine)?;
        let mut ingested = match engine {
            Engine::Maxfold => {
                let (searcher, ingested) = ours::ingest(&self.points, &folder)?;
                self.maxfold = Some(Arc::new(searcher));
                ingested
            }
            Engine::Edge => {
                let (shard, ingested) = theirs::ingest(&self.points, self.threads, &folder)?;
                self.edge = Some(Arc::new(shard));
                ingested
            }
        };
        ingested.disk_bytes = allocated(&folder)?;
        Ok(ingested)
    }

    fn emptied(&mut self, engine: Engine) -> Result<PathBuf> {
        let name = match engine {
            Engine::Maxfold => {
                self.maxfold = None;
                "maxfold"
            }
            Engine::Edge => {
                self.edge = None;
                "edge"
            }
        };
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        Ok(folder)
    }

    /// How long it takes to open Maxfold's collection, with its snapshot of the graph or without.
    pub fn open(&mut self, rebuild: bool) -> Result<f64> {
        self.maxfold = None;
        ours::open(&self.folder.join("maxfold"), rebuild)
    }

    /// For each number of candidates the whole request and the prefetch alone, of both engines; and
    /// how good the answers are.
    pub fn searches(&self, candidates: &[usize]) -> Result<(Vec<Peer>, Vec<Quality>)> {
        let searcher = self.maxfold.as_ref().context("Maxfold has no points")?;
        let shard = self.edge.as_ref().context("Qdrant Edge has no points")?;
        let queries = 0..REQUESTS.min(self.points.queries.len());
        let mut peers = Vec::new();
        for &count in candidates {
            let both = |query| self.points.by_max_sim(query, Some(count), LIMIT);
            let alone = |query| self.points.by_dense(query, count);
            for (what, bodies) in [
                ("search", queries.clone().map(both).collect::<Vec<_>>()),
                ("prefetch", queries.clone().map(alone).collect()),
            ] {
                let requests = bodies.iter().map(ours::request).collect::<Result<Vec<_>>>()?;
                peers.push(asking(
                    format!("maxfold {what} {count}"),
                    searcher,
                    requests,
                    ours::ask,
                ));
                let requests = bodies.iter().map(edge_json::request).collect::<Result<Vec<_>>>()?;
                peers.push(asking(format!("edge {what} {count}"), shard, requests, theirs::ask));
            }
        }
        Ok((peers, quality::of_all(&self.points, searcher, shard, candidates)?))
    }
}

/// Asks one request after the other.
fn asking<E: 'static, R: 'static>(
    name: String,
    engine: &Arc<E>,
    requests: Vec<R>,
    ask: fn(&E, &R) -> Result<Vec<Hit>>,
) -> Peer {
    let engine = Arc::clone(engine);
    Peer::new(name, move || {
        let mut scores = Vec::new();
        for request in &requests {
            scores.extend(ask(&engine, request)?.into_iter().map(|(_, score)| score));
        }
        Ok(scores)
    })
}

/// What the files of a folder take on the disk, which is less than their lengths where they have holes.
fn allocated(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => allocated(&entry.path())?,
            // In blocks of 512 bytes, whatever the file system's are.
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}
