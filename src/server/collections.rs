//! Routes: collections, made, shown, changed, dropped; their payload indexes.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, put};
use serde_json::{Value, json};

use super::app::{App, Shared};
use super::body::Text;
use super::hosted::Hosted;
use super::info;
use super::parameters::Path;
use super::points::Completed;
use super::refusal::Refusal;
use super::system;
use crate::Result;
use crate::collection::{CollectionConfig, ConfigChange, PayloadIndex, VectorConfig};
use crate::json::{Node, Tree};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/collections", get(list))
        .route("/collections/{collection_name}", get(show).put(create).patch(update).delete(remove))
        .route("/collections/{collection_name}/exists", get(exists))
        .route(
            "/collections/{collection_name}/vectors/{vector}",
            put(create_vector).delete(delete_vector),
        )
        .route("/collections/{collection_name}/index", put(create_index))
        .route("/collections/{collection_name}/index/{field}", delete(drop_index))
        .route("/collections/{collection_name}/cluster", get(cluster).post(system::no_cluster))
        .route("/collections/{collection_name}/optimizations", get(optimizations))
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
    app.call(move |app| make(app, &name, text)).await
}

/// Makes a collection.
pub(super) fn make(app: &Shared, name: &str, text: Text) -> Result<bool, Refusal> {
    let config = text.read("a collection's configuration", "config", CollectionConfig::read)?;
    app.registry.create(name, config).map(|()| true)
}

async fn remove(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| app.registry.remove(&name)).await
}

async fn update(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, change).await
}

/// Changes parameters of a collection.
pub(super) fn change(hosted: &Hosted, text: Text) -> Result<bool, Refusal> {
    let change = text.read("a change of parameters", "config", ConfigChange::read)?;
    hosted.collection()?.update_config(&change)?;
    Ok(true)
}

async fn create_vector(
    State(app): State<App>,
    Path((name, vector)): Path<(String, String)>,
    text: Text,
) -> Response {
    app.on(name, text, move |hosted, text| make_vector(hosted, &vector, text)).await
}

/// Adds a vector to a collection.
pub(super) fn make_vector(hosted: &Hosted, name: &str, text: Text) -> Result<Completed, Refusal> {
    let config = text.read("a vector's configuration", "config", |node| read_vector(node, name))?;
    let collection = hosted.collection()?;
    collection.create_vector(name, config)?;
    Completed::now(collection)
}

/// A vector, as it stands in the configuration of a collection.
fn read_vector(node: &Node<'_>, name: &str) -> Result<VectorConfig> {
    let object = node.object(&["dense", "sparse"])?;
    let (kind, vector) = match object.only(&["dense", "sparse"]) {
        Some(("dense", vector)) => ("vectors", vector),
        Some((_, vector)) => ("sparse_vectors", vector),
        None => return Err(node.expected("an object with dense or sparse")),
    };
    let config = json!({kind: {name: vector.json().to_value()}});
    let config = CollectionConfig::read(&Node::root(&Tree::from(&config), "config"))?;
    config.get(name).cloned()
}

async fn delete_vector(
    State(app): State<App>,
    Path((name, vector)): Path<(String, String)>,
) -> Response {
    app.call(move |app| drop_vector(app, &name, &vector)).await
}

/// Drops a vector of a collection.
pub(super) fn drop_vector(app: &Shared, name: &str, vector: &str) -> Result<Completed, Refusal> {
    let hosted = app.registry.get(name)?;
    let collection = hosted.collection()?;
    if !collection.delete_vector(vector)? {
        return Err(Refusal::wrong(format!("Not existing vector name error: {vector}")));
    }
    Completed::now(collection)
}

async fn create_index(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.on(name, text, make_index).await
}

/// Makes a payload index.
pub(super) fn make_index(hosted: &Hosted, text: Text) -> Result<Completed, Refusal> {
    let index = text.read("a payload index", "index", PayloadIndex::read)?;
    let collection = hosted.collection()?;
    collection.replace_index(index)?;
    Completed::now(collection)
}

async fn drop_index(
    State(app): State<App>,
    Path((name, field)): Path<(String, String)>,
) -> Response {
    app.call(move |app| drop_indexes(app, &name, &field)).await
}

/// Drops the payload indexes of a field.
pub(super) fn drop_indexes(app: &Shared, name: &str, field: &str) -> Result<Completed, Refusal> {
    let hosted = app.registry.get(name)?;
    let collection = hosted.collection()?;
    collection.drop_indexes(&field.parse()?)?;
    Completed::now(collection)
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
