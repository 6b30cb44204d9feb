//! A call: a message read as what stands for it in JSON, the work that REST does for it, a message back.

use std::future::Future;
use std::time::{Duration, Instant};

use qdrant_client::qdrant::PointsOperationResponse;
use tonic::{Response, Status};

use super::answers::updated;
use super::shapes::Reply;
use super::spell::Spell;
use crate::server::app::{App, Shared};
use crate::server::body::Text;
use crate::server::hosted::Hosted;
use crate::server::points::Completed;
use crate::server::refusal::Refusal;

pub(super) type Answer<T> = Result<Response<T>, Status>;

/// What answers calls.
#[derive(Clone)]
pub(super) struct Caller(pub App);

impl Caller {
    pub fn text(&self, message: impl Spell) -> Result<Text, Refusal> {
        Ok(Text::of(message.spell()?, &self.0))
    }

    /// Does work on a collection that a message asks for, on a thread of the service.
    pub async fn on<T: Send + 'static>(
        &self,
        collection: String,
        message: impl Spell,
        work: impl FnOnce(&Hosted, Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.0.work_on(collection, self.text(message)?, work).await
    }

    /// Does work that a message asks for, away from the executor's threads.
    pub async fn with<T: Send + 'static>(
        &self,
        message: impl Spell,
        work: impl FnOnce(&Shared, Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let text = self.text(message)?;
        self.0.work(move |app| work(app, text)).await
    }
}

/// What is said of a change.
pub(super) fn operation(completed: Completed, time: f64) -> PointsOperationResponse {
    PointsOperationResponse::reply(updated(completed), time)
}

/// Does work within the seconds that it may take, and makes a message of what it gives and the time that it took.
pub(super) async fn answer<T, M>(
    timeout: Option<u64>,
    work: impl Future<Output = Result<T, Refusal>>,
    message: impl FnOnce(T, f64) -> M,
) -> Answer<M> {
    let start = Instant::now();
    let made = match timeout {
        None => work.await,
        Some(0) => Err(Refusal::invalid("timeout: value 0 invalid, must be 1 or larger")),
        // Dropping the work ends it.
        Some(seconds) => tokio::time::timeout(Duration::from_secs(seconds), work)
            .await
            .unwrap_or_else(|_| Err(Refusal::late(seconds))),
    };
    Ok(Response::new(message(made?, start.elapsed().as_secs_f64())))
}
