//! Routes: collections, made, shown, changed, dropped; their payload indexes.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get, put};
use serde_json::{Value, json};

use super::body::Text;
use super::call::App;
use super::info;
use super::points::completed;
use super::system;
use crate::collection::{CollectionConfig, PayloadIndex};
use crate::filter::FieldPath;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections", get(list))
        .route("/collections/{collection}", get(show).put(create).delete(remove))
        .route("/collections/{collection}/exists", get(exists))
        .route("/collections/{collection}/index", put(create_index))
        .route("/collections/{collection}/index/{field}", delete(drop_index))
        .route("/collections/{collection}/cluster", get(cluster).post(system::no_cluster))
        .route("/collections/{collection}/optimizations", get(optimizations))
}

async fn list(State(app): State<App>) -> Response {
    app.call(|app| {
        let names = app.registry.all();
        let names: Vec<Value> = names.iter().map(|it| json!({"name": it.name()})).collect();
        Ok(json!({"collections": names}))
    })
    .await
}

async fn show(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| info::info(&*app.registry.get(&name)?)).await
}

async fn exists(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| Ok(json!({"exists": app.registry.find(&name).is_some()}))).await
}

async fn create(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.call(move |app| {
        let config = text.read("a collection's configuration", "config", CollectionConfig::read)?;
        app.registry.create(&name, config).map(|()| true)
    })
    .await
}

async fn remove(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| app.registry.remove(&name)).await
}

async fn create_index(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, |hosted, text| {
        let index = text.read("a payload index", "index", PayloadIndex::read)?;
        let collection = hosted.collection()?;
        let there: Vec<PayloadIndex> = collection.snapshot()?.indexes().cloned().collect();
        if !there.contains(&index) {
            for other in there.into_iter().filter(|it| it.field == index.field) {
                collection.drop_index(other)?;
            }
            collection.create_index(index)?;
        }
        completed(collection)
    })
    .await
}

async fn drop_index(
    State(app): State<App>,
    Path((name, field)): Path<(String, String)>,
) -> Response {
    app.call(move |app| {
        let hosted = app.registry.get(&name)?;
        let (collection, field) = (hosted.collection()?, field.parse::<FieldPath>()?);
        let there: Vec<PayloadIndex> = collection.snapshot()?.indexes().cloned().collect();
        for index in there.into_iter().filter(|it| it.field == field) {
            collection.drop_index(index)?;
        }
        completed(collection)
    })
    .await
}

async fn cluster(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| {
        let hosted = app.registry.get(&name)?;
        let points = hosted.collection()?.snapshot()?.len();
        Ok(json!({
            "peer_id": 0, "shard_count": 1,
            "local_shards": [{"shard_id": 0, "points_count": points, "state": "Active"}],
            "remote_shards": [], "shard_transfers": [],
        }))
    })
    .await
}

async fn optimizations(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| {
        let statistics = app.registry.get(&name)?.searcher()?.statistics()?;
        let points = statistics.collection.points;
        let queued = if statistics.behind == 0 { 0 } else { points };
        Ok(json!({
            "summary": {
                "queued_optimizations": u64::from(statistics.behind > 0), "queued_segments": 0,
                "queued_points": queued, "idle_segments": 1,
            },
            "running": [],
        }))
    })
    .await
}
