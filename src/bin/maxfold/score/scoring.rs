//! Queries against documents, timed: one query after the other, or all in one request.

use std::time::Instant;

use maxfold::gpu::ResidentStore;
use maxfold::multivector::{MultiVectors, TokenMatrixRef};
use maxfold::rerank::{Execution, Query, Request, Reranker, Scored, Wanted};

use crate::progress;

/// Queries and documents to score, and how.
pub struct Job<'a> {
    pub reranker: &'a Reranker,
    pub queries: &'a MultiVectors,
    pub docs: &'a MultiVectors,
    /// Only so many of the best of each query.
    pub top_k: Option<usize>,
    pub repeat: u32,
}

pub struct Scoring {
    pub found: Found,
    pub execution: Execution,
    /// One number a repeat: all queries against all documents.
    pub seconds: Vec<f64>,
}

/// For each query.
pub enum Found {
    /// The score of every document, in their order.
    All(Vec<Vec<f32>>),
    /// The best documents, in order.
    Best(Vec<Vec<Scored>>),
}

impl Job<'_> {
    /// One query after the other; a GPU is sent the documents with each.
    pub fn streamed(&self) -> maxfold::Result<Scoring> {
        let named = self.named();
        let matrices: Vec<_> = named.iter().map(|(_, matrix)| *matrix).collect();
        let progress = progress::bar(self.queries.len() * self.repeat as usize, "queries");
        let mut execution = self.reranker.execution();
        let (found, seconds) = self.timed(|| {
            let mut found = self.nothing();
            for query in self.queries.iter() {
                let ran = self.add(query, &named, &matrices, &mut found)?;
                // A fall back to the CPU is worth telling, whichever query it was.
                if ran.backend() != execution.backend() {
                    execution = ran;
                }
                progress.inc(1);
            }
            Ok(found)
        })?;
        progress.finish_and_clear();
        Ok(Scoring { found, execution, seconds })
    }

    fn nothing(&self) -> Found {
        match self.top_k {
            None => Found::All(Vec::new()),
            Some(_) => Found::Best(Vec::new()),
        }
    }

    /// Scores one query more.
    fn add(
        &self,
        query: TokenMatrixRef<'_>,
        named: &[(u64, TokenMatrixRef<'_>)],
        matrices: &[TokenMatrixRef<'_>],
        found: &mut Found,
    ) -> maxfold::Result<Execution> {
        match found {
            Found::All(all) => {
                let scored = self.reranker.score(query, matrices)?;
                all.push(scored.scores);
                Ok(scored.execution)
            }
            Found::Best(best) => {
                let limit = self.top_k.unwrap_or(usize::MAX);
                let ranking = self.reranker.rerank(query, named, limit)?;
                best.push(ranking.hits);
                Ok(ranking.execution)
            }
        }
    }

    /// All queries in one request, with documents that the GPU has. Loading them is not timed.
    pub fn resident(&self) -> maxfold::Result<Scoring> {
        let named = self.named();
        let candidates: Vec<u64> = named.iter().map(|(id, _)| *id).collect();
        let queries: Vec<_> =
            self.queries.iter().map(|tokens| Query { tokens, candidates: &candidates }).collect();
        let matrices = |id: u64| Ok(self.docs.get(id as usize));
        let gpu = self.reranker.gpu();
        let store = gpu.map(|gpu| ResidentStore::new(gpu, self.docs.dim())).transpose()?;
        let wanted = self.top_k.map_or(Wanted::all(), Wanted::best);
        let mut request = Request::new(&queries, &matrices, wanted);
        if let Some(store) = &store {
            let progress = progress::bar(named.len(), "documents loaded");
            store.load(&named, |loaded| progress.set_position(loaded.documents as u64))?;
            progress.finish_and_clear();
            request = request.with_store(store);
        }
        let (answer, seconds) = self.timed(|| self.reranker.rank(&request))?;
        let execution = answer.rankings.first().map(|ranking| ranking.execution.clone());
        let execution = execution.unwrap_or_else(|| self.reranker.execution());
        let rankings = answer.rankings.into_iter().map(|ranked| ranked.hits);
        let found = match self.top_k {
            None => Found::All(rankings.map(by_document).collect()),
            Some(_) => Found::Best(rankings.collect()),
        };
        Ok(Scoring { found, execution, seconds })
    }

    fn named(&self) -> Vec<(u64, TokenMatrixRef<'_>)> {
        (0..).zip(self.docs.iter()).collect()
    }

    /// The last of all repeats, and the seconds of each.
    fn timed<T>(
        &self,
        mut once: impl FnMut() -> maxfold::Result<T>,
    ) -> maxfold::Result<(T, Vec<f64>)> {
        let mut seconds = Vec::new();
        loop {
            let start = Instant::now();
            let result = once()?;
            seconds.push(start.elapsed().as_secs_f64());
            if seconds.len() >= self.repeat as usize {
                return Ok((result, seconds));
            }
        }
    }
}

impl Found {
    /// The documents of each query, in order.
    pub fn rankings(&self) -> Vec<Vec<Scored>> {
        match self {
            Self::All(all) => all.iter().map(|scores| ranked(scores)).collect(),
            Self::Best(best) => best.clone(),
        }
    }
}

fn ranked(scores: &[f32]) -> Vec<Scored> {
    let mut scored: Vec<_> = (0..).zip(scores).map(|(id, &score)| Scored { id, score }).collect();
    scored.sort_unstable_by(Scored::order);
    scored
}

fn by_document(mut hits: Vec<Scored>) -> Vec<f32> {
    hits.sort_unstable_by_key(|hit| hit.id);
    hits.into_iter().map(|hit| hit.score).collect()
}
