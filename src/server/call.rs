//! [`App`]: what all requests share, and how their work is done.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Semaphore;

use super::body::Text;
use super::envelope::envelope;
use super::hosted::Hosted;
use super::metrics::Metrics;
use super::options::ServerOptions;
use super::refusal::Refusal;
use super::registry::Registry;
use crate::background::run_async;

/// What all requests share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub registry: Registry,
    pub options: ServerOptions,
    /// Room for bodies, in [`UNIT`](super::body::UNIT)s.
    pub bodies: Arc<Semaphore>,
    pub metrics: Metrics,
    pub started: Instant,
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub fn new(
        registry: Registry,
        options: ServerOptions,
        bodies: Arc<Semaphore>,
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Shared { registry, options, bodies, metrics, started: Instant::now() }))
    }

    /// Does work away from the executor's threads, and puts what it gives into an envelope. A client that
    /// hangs up drops the future, and so cancels the work.
    pub async fn call<T: Serialize>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        let (app, start) = (self.clone(), Instant::now());
        let answered = run_async(move || Ok(envelope(work(&app), start))).await;
        answered.unwrap_or_else(|error| Refusal::from(error).since(start).into_response())
    }

    /// [`App::call`] for work on a collection, with a body.
    pub async fn on<T: Serialize>(
        &self,
        collection: String,
        text: Text,
        work: impl FnOnce(&Hosted, &Text) -> Result<T, Refusal> + Send + 'static,
    ) -> Response {
        self.call(move |app| work(&*app.registry.get(&collection)?, &text)).await
    }
}
