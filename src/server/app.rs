//! [`App`]: what all requests share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, watch};

use super::counters::Counters;
use super::options::{ServerOptions, UNIT};
use super::registry::Registry;

/// Snapshots that are made, received or recovered at once.
const APART: usize = 4;

/// State that all requests share.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

pub(super) struct Shared {
    pub registry: Registry,
    pub options: ServerOptions,
    /// Turns to read long bodies as JSON, which takes many times their bytes: a unit each.
    pub parsing: Arc<Semaphore>,
    /// Turns of snapshots, so that they don't take all threads.
    pub apart: Arc<Semaphore>,
    /// Room for bodies, in [`UNIT`](super::options::UNIT)s.
    pub bodies: Arc<Semaphore>,
    pub counters: Counters,
    pub started: Instant,
    /// Tells whether the server is about to end.
    pub ending: watch::Sender<bool>,
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
        Self(Arc::new(Shared {
            parsing: Semaphore::new(options.body_bytes / UNIT + 1).into(),
            apart: Semaphore::new(APART).into(),
            registry,
            options,
            bodies,
            counters,
            started: Instant::now(),
            ending: watch::Sender::new(false),
        }))
    }
}
