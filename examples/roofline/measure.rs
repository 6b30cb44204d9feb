//! One shape on one variant: right first, then timed.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use maxfold::gpu::{GpuContext, ResidentStore, Statistics};
use maxfold::maxsim::reference;
use maxfold::multivector::TokenMatrixRef;
use maxfold::rerank::{Query, Ranking, Request, Reranker, Wanted};

use super::Args;
use super::shapes::Inputs;
use super::table::milliseconds;

/// Hits of each query.
const LIMIT: usize = 10;

/// Untimed requests, then timed ones: so many, or fewer if they take longer than this.
const WARM_UP: usize = 20;
const REPEATS: usize = 300;
const LONG_ENOUGH: Duration = Duration::from_secs(2);

/// Times, sorted, and what one request cost.
pub struct Measured {
    gpu_times: Vec<Duration>,
    calls: Vec<Duration>,
    /// Calls less their time on the GPU.
    host: Vec<Duration>,
    pub statistics: Statistics,
}

impl Measured {
    pub fn new(gpu: &GpuContext, inputs: &Inputs, args: &Args) -> Result<Self, Box<dyn Error>> {
        let store = store(gpu, inputs)?;
        let candidates: Vec<Vec<u64>> =
            (0..inputs.queries.len()).map(|query| inputs.candidates(query)).collect();
        let queries = inputs.queries.iter().zip(&candidates);
        let queries: Vec<_> =
            queries.map(|(query, candidates)| Query { tokens: query.view(), candidates }).collect();
        let reranker = Reranker::on_gpu(gpu.clone());
        let rank = |wanted| -> Result<(Vec<Ranking>, Statistics), Box<dyn Error>> {
            let request = Request::new(&queries, &|_| Ok(None), wanted).with_store(&store);
            let answer = reranker.rank(&request)?;
            // The CPU, which answers where a GPU fails, has none.
            Ok((answer.rankings, answer.statistics.ok_or("the GPU failed")?))
        };
        for (query, ranked) in queries.iter().zip(rank(Wanted::all())?.0) {
            let scores = ranked.hits.iter().map(|hit| (hit.id, hit.score));
            check(inputs, query.tokens, scores.collect())?;
        }
        let (warm_up, repeats) = if args.quick { (1, 3) } else { (WARM_UP, REPEATS) };
        let start = Instant::now();
        let enough =
            |done: usize, most: usize| done >= most || (done >= 3 && start.elapsed() > LONG_ENOUGH);
        let mut warm = 0;
        while !enough(warm, warm_up) {
            rank(Wanted::best(LIMIT))?;
            warm += 1;
        }
        let mut measured = Self {
            gpu_times: Vec::new(),
            calls: Vec::new(),
            host: Vec::new(),
            statistics: rank(Wanted::best(LIMIT))?.1,
        };
        let start = Instant::now();
        while measured.calls.len() < repeats
            && (measured.calls.len() < 3 || start.elapsed() < LONG_ENOUGH)
        {
            let call = Instant::now();
            let (_, statistics) = rank(Wanted::best(LIMIT))?;
            measured.add(call.elapsed(), statistics.gpu_time);
        }
        for times in [&mut measured.gpu_times, &mut measured.calls, &mut measured.host] {
            times.sort_unstable();
        }
        Ok(measured)
    }

    fn add(&mut self, call: Duration, gpu_time: Option<Duration>) {
        self.calls.push(call);
        self.gpu_times.extend(gpu_time);
        self.host.extend(gpu_time.map(|time| call.saturating_sub(time)));
    }

    /// The one whose calls are faster.
    pub fn faster(best: Option<Self>, other: Self) -> Option<Self> {
        Some(best.filter(|best| best.percentile(50) <= other.percentile(50)).unwrap_or(other))
    }

    /// Writes milliseconds of kernels and of a call, for a comparison.
    pub fn export(&self, path: &Path) -> std::io::Result<()> {
        let kernel = self.gpu_time().map_or("nan".into(), milliseconds);
        std::fs::write(path, format!("{kernel} {}\n", milliseconds(self.percentile(50))))
    }

    /// The median of the time between the timestamps around the kernels.
    pub fn gpu_time(&self) -> Option<Duration> {
        self.gpu_times.get(self.gpu_times.len() / 2).copied()
    }

    /// The median of what a call takes beside that.
    pub fn host(&self) -> Option<Duration> {
        self.host.get(self.host.len() / 2).copied()
    }

    /// From call to result: what so many of a hundred requests stay within.
    pub fn percentile(&self, percent: usize) -> Duration {
        let at = (self.calls.len() * percent).div_ceil(100);
        self.calls[at.clamp(1, self.calls.len()) - 1]
    }
}

fn store(gpu: &GpuContext, inputs: &Inputs) -> Result<ResidentStore, Box<dyn Error>> {
    let shape = inputs.shape;
    let rows = (shape.documents() * shape.document_tokens) as u64;
    let bytes = rows * shape.dim as u64 * 2;
    let store = ResidentStore::with_budget(gpu, shape.dim, bytes + (64 << 20))?;
    let documents = (0..shape.documents() as u64).filter_map(|id| Some((id, inputs.document(id)?)));
    let documents: Vec<_> = documents.collect();
    store.load(&documents, |_| {})?;
    Ok(store)
}

/// Compares the best, the worst and the middle of a query's scores with the f64 reference.
fn check(
    inputs: &Inputs,
    query: TokenMatrixRef<'_>,
    scores: Vec<(u64, f32)>,
) -> Result<(), Box<dyn Error>> {
    for at in [0, scores.len() / 2, scores.len() - 1] {
        let (id, score) = scores[at];
        let document = inputs.document(id).ok_or("no such document")?;
        let expected = reference::score(query, document);
        let error = (f64::from(score) - expected).abs();
        if error > 1e-5 * query.tokens() as f64 {
            return Err(format!("document {id} scores {score}, not {expected}").into());
        }
    }
    Ok(())
}
