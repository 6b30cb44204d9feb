//! What the worker does with requests.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::collection::{self, Bench};
use crate::inputs::Inputs;
use crate::peer::Peer;
use crate::protocol::{Answer, Request, Step};
use crate::{edge, fma, measure, scorers};

/// Answers requests until stdin ends.
pub fn run() -> Result<()> {
    let mut worker = Worker::default();
    let mut answers = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .context("the request")
            .and_then(|request| worker.answer(request))
            .unwrap_or_else(|error| Answer::Failed { error: format!("{error:#}") });
        serde_json::to_writer(&mut answers, &answer)?;
        writeln!(answers)?;
        answers.flush()?;
    }
    Ok(())
}

/// What was loaded, ready to be scored and timed.
#[derive(Default)]
struct Worker {
    peers: Vec<Peer>,
    bench: Option<Bench>,
}

impl Worker {
    fn answer(&mut self, request: Request) -> Result<Answer> {
        match request {
            Request::Describe => Ok(Answer::Description { openblas: scorers::openblas() }),
            Request::Load { documents, queries, threads, only } => {
                let inputs = Inputs::read(&documents, &queries)?;
                let pool = pool(threads)?;
                self.peers = fma::peers(&pool);
                self.peers.extend(scorers::peers(inputs, &pool, &only)?);
                Ok(self.loaded(None))
            }
            Request::Edge { documents, queries, threads, datatype, folder } => {
                let inputs = Inputs::read(&documents, &queries)?;
                let (peers, comparison) =
                    edge::peers(inputs, &pool(threads)?, threads, datatype, &folder)?;
                self.peers = peers;
                Ok(self.loaded(Some(comparison)))
            }
            Request::Collection(step) => self.collection(step),
            Request::Score { peer } => {
                let (scores, peak_bytes) = measure::peak_beside(|| self.peer(&peer)?.call())?;
                Ok(Answer::Scores { scores, peak_bytes })
            }
            Request::Time { peer, at_least } => {
                let peer = self.peer(&peer)?;
                let timing = measure::time(Duration::from_secs_f64(at_least), || peer.call())?;
                Ok(Answer::Timed { timing, flops: peer.flops() })
            }
        }
    }

    fn collection(&mut self, step: Step) -> Result<Answer> {
        // They hold what they search.
        self.peers.clear();
        let none = || anyhow!("there are no points");
        match step {
            Step::Points { shape, threads, folder } => {
                let bench = self.bench.insert(Bench::new(shape, threads, folder));
                let (token_bytes, dense_bytes) = bench.bytes();
                Ok(Answer::Points { token_bytes, dense_bytes })
            }
            Step::Ingest { engine } => {
                Ok(Answer::Ingested(self.bench.as_mut().ok_or_else(none)?.ingest(engine)?))
            }
            Step::Open { rebuild } => {
                let seconds = self.bench.as_mut().ok_or_else(none)?.open(rebuild)?;
                Ok(Answer::Opened { seconds })
            }
            Step::Searches { candidates } => {
                let bench = self.bench.as_ref().ok_or_else(none)?;
                let (peers, quality) = bench.searches(&candidates)?;
                self.peers = peers;
                let peers = self.peers.iter().map(Peer::describe).collect();
                Ok(Answer::Searches { peers, quality, requests: collection::REQUESTS })
            }
        }
    }

    fn peer(&mut self, name: &str) -> Result<&mut Peer> {
        let found = self.peers.iter_mut().find(|peer| peer.name() == name);
        found.ok_or_else(|| anyhow!("no peer is called {name:?}"))
    }

    fn loaded(&self, comparison: Option<edge::Comparison>) -> Answer {
        Answer::Loaded { peers: self.peers.iter().map(Peer::describe).collect(), comparison }
    }
}

/// The one pool that all peers of this worker run on.
fn pool(threads: usize) -> Result<Arc<ThreadPool>> {
    // NumKong asks for it once a thread; elsewhere than on AMX machines it does nothing.
    let start = |_| {
        numkong::configure_thread();
    };
    Ok(Arc::new(ThreadPoolBuilder::new().num_threads(threads).start_handler(start).build()?))
}
