//! [`App`]: what all requests share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::counters::Counters;
use super::options::ServerOptions;
use super::registry::Registry;

/// What all requests share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub registry: Registry,
    pub options: ServerOptions,
    /// Room for bodies, in [`UNIT`](super::options::UNIT)s.
    pub bodies: Arc<Semaphore>,
    pub counters: Counters,
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
        counters: Counters,
    ) -> Self {
        Self(Arc::new(Shared { registry, options, bodies, counters, started: Instant::now() }))
    }
}
