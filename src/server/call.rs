//! A request's work, away from the executor's threads.

use std::sync::Arc;
use std::time::Instant;

use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::app::{App, Shared};
use super::body::Text;
use super::envelope::envelope;
use super::hosted::Hosted;
use super::refusal::Refusal;
use crate::background::run_async;
use crate::service::CallOptions;

impl App {
    /// Does work away from the executor's threads. A client that hangs up drops the future, and so cancels the work.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = self.clone();
        run_async(move || Ok(work(&app))).await?
    }

    /// [`App::work`] for what takes long and hardly anything else: a few at once.
    pub async fn work_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        // Kept until the work ends, which may be after the client has gone.
        let turn = Arc::clone(&self.apart).acquire_owned().await;
        self.work(move |app| {
            let _turn = turn;
            work(app)
        })
        .await
    }

    /// Does work on a collection, with a body, on a thread of the service: bounded, as searches are.
    pub async fn work_on<T: Send + 'static>(
        &self,
        collection: String,
        text: Text,
        work: impl FnOnce(&Hosted, Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let app = self.clone();
        let text = text.in_turn(self).await;
        let work = move || Ok(app.registry.get(&collection).and_then(|hosted| work(&hosted, text)));
        self.registry.service().run(CallOptions::new(), work).await?
    }

    /// [`App::work`], with an envelope around what it gives.
    pub async fn call<T: Serialize>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        let start = Instant::now();
        answered(self.work(move |app| Ok(envelope(work(app), start))).await, start)
    }

    /// [`App::work_apart`], with an envelope.
    pub async fn call_apart<T: Serialize>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        let start = Instant::now();
        answered(self.work_apart(move |app| Ok(envelope(work(app), start))).await, start)
    }

    /// [`App::work_on`], with an envelope.
    pub async fn on<T: Serialize>(
        &self,
        collection: String,
        text: Text,
        work: impl FnOnce(&Hosted, Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        let start = Instant::now();
        let work = move |hosted: &Hosted, text: Text| Ok(envelope(work(hosted, text), start));
        answered(self.work_on(collection, text, work).await, start)
    }

    /// Answers by a future that does its work elsewhere; what it gives is written away from the executor's threads.
    pub async fn answer<T: Serialize + Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Response {
        let start = Instant::now();
        match work.await {
            Ok(made) => answered(self.work(move |_| Ok(envelope(Ok(made), start))).await, start),
            Err(refusal) => refusal.since(start).into_response(),
        }
    }

    /// Reads the body of a request for the service, unless that has no room: then nothing is read. Away from the
    /// executor's threads if it is long; with texts for models on a thread of the service.
    pub async fn read<T: Send + 'static>(
        &self,
        text: Text,
        read: impl FnOnce(Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.registry.service().check_room()?;
        let text = text.in_turn(self).await;
        if text.needs_models() {
            let read = move || Ok(read(text));
            return self.registry.service().run(CallOptions::new(), read).await?;
        }
        match text.is_short() {
            true => read(text),
            false => run_async(move || Ok(read(text))).await?,
        }
    }
}

/// An answer, or what kept it from being given.
fn answered(answer: Result<Response, Refusal>, start: Instant) -> Response {
    answer.unwrap_or_else(|refusal| refusal.since(start).into_response())
}
