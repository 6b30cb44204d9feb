//! Writes to one collection, in one transaction.

use std::sync::Arc;

use tokio::sync::oneshot::Sender;

use super::work::{Crew, Job, Lane, Sharing, Threads, Work, guarded};
use crate::background::Cancellation;
use crate::collection::Operation;
use crate::search::Searcher;
use crate::{Error, Result};

/// Changes of one caller, all or none of which are made.
pub(super) struct Write {
    pub searcher: Arc<Searcher>,
    pub operations: Vec<Operation>,
    pub reply: Sender<Result<Vec<u64>>>,
}

impl Work for Write {
    fn crew(&self) -> Crew {
        Crew::Helpers
    }

    fn lane(&self) -> Option<(Lane, Sharing)> {
        let of = Arc::as_ptr(&self.searcher).addr();
        Some((Lane { kind: "write", of, shape: [0; 2] }, Sharing::OneAtATime))
    }

    fn doer(&self) -> fn(Vec<Job>, Threads<'_>) {
        |jobs, _| apply(jobs)
    }
}

/// Makes the changes of jobs, which are of one collection, in as few transactions as may be.
fn apply(jobs: Vec<Job>) {
    let cancellation = Cancellation::of(jobs.iter().map(|job| job.call.clone()));
    let (mut searchers, mut changes, mut replies) = (Vec::new(), Vec::new(), Vec::new());
    for (write, _) in jobs.into_iter().filter_map(Job::into::<Write>) {
        searchers.push(write.searcher);
        changes.push(write.operations);
        replies.push(write.reply);
    }
    let Some(searcher) = searchers.first() else { return };
    let made = guarded(|| cancellation.during(|| Ok(searcher.collection().apply_each(changes))));
    match made {
        Ok(made) => {
            // Who doesn't wait any more needs no answer.
            replies.into_iter().zip(made).for_each(|(reply, made)| drop(reply.send(made)));
        }
        Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(again(&error))))),
    }
}

/// The error of a call that was for several.
fn again(error: &Error) -> Error {
    match error {
        Error::Panicked { message } => Error::Panicked { message: message.clone() },
        _ => Error::Cancelled,
    }
}
