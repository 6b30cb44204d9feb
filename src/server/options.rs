//! [`ServerOptions`]: who may ask, and how much.

use std::sync::Arc;
use std::time::Duration;

use super::documents::Models;
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::encoder::Encoder;
use crate::rerank::Reranker;
use crate::service::ServiceOptions;

/// Bytes of bodies that are counted as one.
pub(super) const UNIT: usize = 1024;

/// Options of a [`Server`](super::Server).
///
/// ```
/// use maxfold::server::{Server, ServerOptions};
///
/// let directory = tempfile::tempdir().unwrap();
/// let options = ServerOptions::new().api_key("secret").connections(100);
/// let router = Server::open(directory.path(), options)?.router();
/// # drop(router);
/// # Ok::<(), maxfold::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    pub(super) api_keys: Vec<String>,
    pub(super) read_only_api_keys: Vec<String>,
    pub(super) body_bytes: usize,
    pub(super) bodies_bytes: usize,
    pub(super) body_time: Duration,
    pub(super) idle_time: Duration,
    pub(super) connections: usize,
    pub(super) cors: bool,
    pub(super) reranker: Option<Arc<Reranker>>,
    pub(super) service: ServiceOptions,
    pub(super) models: Arc<Models>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            read_only_api_keys: Vec::new(),
            body_bytes: 64 << 20,
            bodies_bytes: 1 << 30,
            body_time: Duration::from_secs(60),
            idle_time: Duration::from_secs(30),
            connections: 10_000,
            cors: true,
            reranker: None,
            service: ServiceOptions::new(),
            models: Arc::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ServerOptions {
    /// No keys; bodies of 64 MiB, of 1 GiB together; 10,000 connections; CORS for every origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key with which everything is allowed.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_keys.push(key.into());
        self
    }

    /// Adds a key with which nothing may be changed.
    pub fn read_only_api_key(mut self, key: impl Into<String>) -> Self {
        self.read_only_api_keys.push(key.into());
        self
    }

    /// Refuses a request with a longer body.
    pub fn body_bytes(self, bytes: usize) -> Self {
        Self { body_bytes: bytes, ..self }
    }

    /// Refuses bodies while those that are being read and parsed take so many bytes together.
    pub fn bodies_bytes(self, bytes: usize) -> Self {
        Self { bodies_bytes: bytes, ..self }
    }

    /// Refuses a body that takes longer to arrive.
    pub fn body_time(self, time: Duration) -> Self {
        Self { body_time: time, ..self }
    }

    /// Closes a connection on which no request begins, or no part of an answer is taken, for so long.
    pub fn idle_time(self, time: Duration) -> Self {
        Self { idle_time: time, ..self }
    }

    /// Lets others wait while there are so many connections.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// Allows pages of every origin to ask, or only those of this one.
    pub fn cors(self, cors: bool) -> Self {
        Self { cors, ..self }
    }

    /// Reranker that all collections share; by default what [`Backend::Auto`](crate::Backend::Auto) finds.
    pub fn reranker(self, reranker: impl Into<Arc<Reranker>>) -> Self {
        Self { reranker: Some(reranker.into()), ..self }
    }

    /// Threads that answer, and the number of requests that may wait for them.
    pub fn service(self, service: ServiceOptions) -> Self {
        Self { service, ..self }
    }

    /// Encodes texts in bodies that name this model, `{"text": …, "model": …}`, where vectors belong.
    pub fn model(mut self, name: impl Into<String>, model: Arc<dyn Encoder>) -> Self {
        Arc::make_mut(&mut self.models).insert(name.into(), model);
        self
    }

    /// Encrypts all connections that [`Server::serve`](super::Server::serve) answers.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Units in which bodies are counted, all together.
    pub(super) fn body_budget(&self) -> usize {
        self.bodies_bytes / UNIT
    }

    /// Tells whether a key is asked for.
    pub(super) fn has_keys(&self) -> bool {
        !(self.api_keys.is_empty() && self.read_only_api_keys.is_empty())
    }
}

/// Without the keys.
impl std::fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { api_keys, read_only_api_keys, body_bytes, connections, cors, .. } = self;
        f.debug_struct("ServerOptions")
            .field("api_keys", &api_keys.len())
            .field("read_only_api_keys", &read_only_api_keys.len())
            .field("body_bytes", body_bytes)
            .field("connections", connections)
            .field("cors", cors)
            .finish_non_exhaustive()
    }
}
