//! Qdrant's REST API over the collections of a directory, and its gRPC API with the feature `grpc`.
//!
//! A [`Server`] is a directory of collections; its router answers what Qdrant's clients send, in a service of a
//! host's or, by [`Server::serve`], on a listener of its own. A request goes one way: `access.rs` (may it?) →
//! a file of routes → `call.rs` (away from the executor) → `registry.rs` (which collection?) → the engine →
//! `envelope.rs`.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | [`ServerOptions`] |
//! | `listen.rs`, `tls.rs` | connections: bounded, cut off when slow, finished at the end; encrypted |
//! | `access.rs` | API keys |
//! | `parameters.rs` | what every URL may say |
//! | `body.rs` | bodies, bounded one by one and together |
//! | `documents.rs` | texts in bodies, where vectors belong |
//! | `app.rs`, `call.rs` | what all requests share; a request's work, away from the executor's threads |
//! | `envelope.rs`, `refusal.rs` | what an answer looks like; what an error does |
//! | `registry.rs`, `names.rs`, `hosted.rs` | collections by name, aliases; the file that has them; one of them |
//! | `collections.rs`, `info.rs`, `aliases.rs` | routes: collections, made, changed, shown; their other names |
//! | `points.rs`, `records.rs` | routes: points changed; points read |
//! | `query.rs`, `older.rs`, `pairs.rs` | routes: queries; those of older clients; distances between points |
//! | `snapshots.rs`, `shelf.rs`, `archive.rs` | routes: snapshots; where they are; what is in one |
//! | `system.rs`, `metrics.rs`, `counters.rs` | routes: health, versions, counters; what is counted |
//! | `dashboard.rs`, `dashboard.html` | route: a page for people |
//! | `grpc/` | the same by gRPC |

mod access;
mod aliases;
mod app;
mod archive;
mod body;
mod call;
mod collections;
mod counters;
mod dashboard;
mod documents;
mod envelope;
#[cfg(feature = "grpc")]
mod grpc;
mod hosted;
mod info;
mod listen;
mod metrics;
mod names;
mod older;
mod options;
mod pairs;
mod parameters;
mod points;
mod query;
mod records;
mod refusal;
mod registry;
mod shelf;
mod snapshots;
mod system;
#[cfg(feature = "tls")]
mod tls;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::normalize_path::NormalizePath;

pub use options::ServerOptions;
#[cfg(feature = "tls")]
pub use tls::Tls;

use crate::Result;
use crate::collection::raise_file_limit;
use app::App;
use counters::Counters;
use listen::{Answering, Port, Protocol};
use registry::Registry;

/// Collections of a directory, and Qdrant's REST API over them.
///
/// ```
/// use maxfold::server::{Server, ServerOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> maxfold::Result<()> {
/// let directory = tempfile::tempdir().unwrap();
/// let server = Server::open(directory.path(), ServerOptions::new().api_key("secret"))?;
/// // To be nested in a router of your own; or `server.serve(listener, stop).await`.
/// let router: axum::Router = server.router();
/// # Ok(())
/// # }
/// ```
pub struct Server {
    app: App,
    #[cfg(feature = "grpc")]
    calls: Option<TcpListener>,
}

impl Server {
    /// Opens a directory, which is made if it isn't there, and all its collections. One that can't be opened
    /// is shown as failed, and stops none of the others.
    ///
    /// Raises the process's limit on open files as far as it may: each connection takes one, each collection five.
    ///
    /// # Errors
    /// Another process has it open; its file of names is damaged; what the operating system says.
    pub fn open(directory: impl AsRef<Path>, options: ServerOptions) -> Result<Self> {
        let files = raise_file_limit();
        log::info!("at most {} open files", files.map_or("?".into(), |most| most.to_string()));
        let registry = Registry::open(directory.as_ref(), &options)?;
        let bodies = Arc::new(Semaphore::new(options.body_budget()));
        Ok(Self {
            app: App::new(registry, options, bodies, Counters::new()?),
            #[cfg(feature = "grpc")]
            calls: None,
        })
    }

    /// Routes of the whole API, with access control, compression and CORS.
    pub fn router(&self) -> Router {
        let app = self.app.clone();
        let mut routes = Router::new()
            .merge(system::routes())
            .merge(collections::routes())
            .merge(aliases::routes())
            .merge(points::routes())
            .merge(records::routes())
            .merge(query::routes())
            .merge(older::routes())
            .merge(pairs::routes())
            .merge(snapshots::routes())
            .merge(dashboard::routes())
            .fallback(refusal::no_route)
            .method_not_allowed_fallback(refusal::no_method)
            .layer(from_fn(parameters::check))
            .layer(from_fn_with_state(app.clone(), metrics::measure))
            .layer(from_fn_with_state(app.clone(), access::control))
            .layer(CatchPanicLayer::custom(refusal::panicked))
            .with_state(app.clone())
            .layer(CompressionLayer::new());
        if app.options.cors {
            routes = routes.layer(CorsLayer::permissive());
        }
        Router::new().fallback_service(NormalizePath::trim_trailing_slash(routes))
    }

    /// Calls of Qdrant's gRPC API, with access control, for connections of HTTP/2.
    #[cfg(feature = "grpc")]
    pub fn grpc_router(&self) -> Router {
        grpc::router(&self.app)
    }

    /// Has [`Server::serve`] answer calls by gRPC, too, on a listener of their own.
    #[cfg(feature = "grpc")]
    pub fn grpc(self, listener: TcpListener) -> Self {
        Self { calls: Some(listener), ..self }
    }

    /// Answers the connections of a listener until `stop` is ready; then what has begun is finished.
    pub async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let answering = |router, protocol| Answering {
            router,
            protocol,
            idle: self.app.options.idle_time,
            #[cfg(feature = "tls")]
            tls: self.app.options.tls.as_ref().map(|it| it.acceptor(protocol.choice())),
        };
        let rest = Port { listener, answering: answering(self.router(), Protocol::Http1) };
        #[cfg(feature = "grpc")]
        let grpc = self.calls.map(|listener| Port {
            listener,
            answering: answering(grpc::router(&self.app), Protocol::Http2),
        });
        #[cfg(not(feature = "grpc"))]
        let grpc = None;
        let stop = async {
            stop.await;
            self.app.ending.send_replace(true);
        };
        listen::serve(rest, grpc, &self.app.options, stop).await;
        self.app.registry.service().shutdown().await;
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("directory", &self.app.registry.path())
            .finish_non_exhaustive()
    }
}
