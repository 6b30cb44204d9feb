//! Qdrant's gRPC API, over the same collections as REST.
//!
//! A call goes the way of a request: `door.rs` (key, body, deadline) → a file of calls → what REST does for it →
//! `answers.rs`. Between them a message becomes what stands for it in JSON (`spell.rs`), and is read by the reader of
//! REST's bodies: so both take the same, refuse the same and mean the same. Vectors go that way as the values that
//! they came as.
//!
//! | file | holds |
//! |---|---|
//! | `door.rs` | what all calls go through: counters, keys, bodies, deadlines |
//! | `rights.rs` | the calls that there are, and what each may |
//! | `call.rs` | a call's work, and its answer |
//! | `shapes.rs` | what messages have in common |
//! | `points.rs`, `collections.rs`, `snapshots.rs`, `health.rs` | the calls |
//! | `spell.rs` | messages as what stands for them in JSON |
//! | `values.rs`, `vectors.rs`, `filters.rs` | payloads and ids; vectors; filters |
//! | `queries.rs`, `changes.rs`, `configs.rs`, `indexes.rs` | requests of each kind |
//! | `answers.rs`, `info.rs`, `status.rs` | answers; a collection as it is shown; refusals |

mod answers;
mod call;
mod changes;
mod collections;
mod configs;
mod door;
mod filters;
mod health;
mod indexes;
mod info;
mod points;
mod queries;
mod rights;
mod shapes;
mod snapshots;
mod spell;
mod status;
mod values;
mod vectors;

use axum::Router;
use axum::middleware::from_fn_with_state;
use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use qdrant_client::qdrant::snapshots_server::SnapshotsServer;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tower_http::catch_panic::CatchPanicLayer;

use super::app::App;
use call::Caller;

/// Routes of all calls.
pub(super) fn router(app: &App) -> Router {
    let limit = app.options.body_bytes;
    let caller = || Caller(app.clone());
    macro_rules! service {
        ($server:ident) => {{
            let server = $server::new(caller()).max_decoding_message_size(limit);
            let server = server.max_encoding_message_size(usize::MAX);
            // An answer is compressed if its request is (`door.rs`).
            server.accept_compressed(Gzip).send_compressed(Gzip)
        }};
    }
    fn path<S: NamedService>(_: &S) -> String {
        format!("/{}/{{*call}}", S::NAME)
    }
    let (points, collections) = (service!(PointsServer), service!(CollectionsServer));
    let (snapshots, qdrant) = (service!(SnapshotsServer), service!(QdrantServer));
    let health = service!(HealthServer);
    Router::new()
        .route_service(&path(&points), points)
        .route_service(&path(&collections), collections)
        .route_service(&path(&snapshots), snapshots)
        .route_service(&path(&qdrant), qdrant)
        .route_service(&path(&health), health)
        .fallback(door::no_call)
        .layer(CatchPanicLayer::custom(door::panicked))
        .layer(from_fn_with_state(app.clone(), door::enter))
}
