//! Searches of one collection, answered together.

use std::sync::Arc;

use tokio::sync::oneshot::Sender;

use super::work::{Crew, Job, Lane, Sharing, Threads, Work, guarded};
use crate::Result;
use crate::background::{Call, Cancellation};
use crate::collection::Collection;
use crate::search::{Collections, QueryRequest, QueryResponse, Searcher};

/// Collections that requests may look something up in, by name.
pub(super) type Named = Vec<(String, Arc<Searcher>)>;

/// Answers to the requests of one caller.
type Answers = Vec<Result<QueryResponse>>;

/// Requests of one caller, answered from one state of a collection.
pub(super) struct Search {
    pub searcher: Arc<Searcher>,
    pub requests: Vec<QueryRequest>,
    pub others: Named,
    pub reply: Sender<Result<Answers>>,
}

impl Work for Search {
    fn crew(&self) -> Crew {
        Crew::Searchers
    }

    fn lane(&self) -> Option<(Lane, Sharing)> {
        let of = Arc::as_ptr(&self.searcher).addr();
        let lane = Lane { kind: "search", of, shape: [0; 2] };
        Some((lane, Sharing::of(self.searcher.reranker())))
    }

    fn doer(&self) -> fn(Vec<Job>, Threads<'_>) {
        answer
    }
}

/// Answers the searches of jobs, which are of one collection, from one state of it.
fn answer(jobs: Vec<Job>, threads: Threads<'_>) {
    let searches = jobs.into_iter().filter_map(Job::into::<Search>);
    let mut searches: Vec<_> = searches.map(|(search, call)| (*search, call)).collect();
    match guarded(|| answer_each(&searches, threads)) {
        Ok(answers) => {
            let mut answers = answers.into_iter();
            for (search, _) in searches {
                let own = answers.by_ref().take(search.requests.len()).collect();
                reply(search, Ok(own));
            }
        }
        // It need not be the fault of each.
        Err(_) if searches.len() > 1 => {
            for one in searches {
                let answer = guarded(|| answer_each(std::slice::from_ref(&one), threads));
                reply(one.0, answer);
            }
        }
        Err(error) => {
            if let Some((search, _)) = searches.pop() {
                reply(search, Err(error));
            }
        }
    }
}

/// Sends an answer; who doesn't wait any more needs none.
fn reply(search: Search, answers: Result<Answers>) {
    drop(search.reply.send(answers));
}

fn answer_each(searches: &[(Search, Arc<Call>)], threads: Threads<'_>) -> Result<Answers> {
    let Some((first, _)) = searches.first() else { return Ok(Vec::new()) };
    let cancellation = Cancellation::of(searches.iter().map(|(_, call)| call.clone()));
    threads.run(|| {
        let lookups: Vec<_> = searches.iter().map(|(search, _)| lookup(&search.others)).collect();
        let requests = searches.iter().zip(&lookups).flat_map(|((search, _), lookup)| {
            search.requests.iter().map(move |request| (request, lookup as &Collections<'_>))
        });
        let requests: Vec<_> = requests.collect();
        cancellation.clone().during(|| {
            let answers = first.searcher.query_each(&requests)?;
            cancellation.check()?;
            Ok(answers)
        })
    })
}

fn lookup<'o>(others: &'o Named) -> impl Fn(&str) -> Option<&'o Collection> {
    move |name| others.iter().find(|(it, _)| it == name).map(|(_, it)| it.collection())
}
