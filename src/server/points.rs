//! Routes: points, changed.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{post, put};
use serde_json::{Value, json};

use super::app::App;
use super::body::Text;
use super::documents::Texts;
use super::parameters::Path;
use super::records;
use super::refusal::Refusal;
use crate::Result;
use crate::collection::{Collection, Operation};
use crate::json::Node;

pub(super) fn routes() -> Router<App> {
    let of = |path: &str| format!("/collections/{{collection_name}}/points{path}");
    // The body of a call for one change is what stands under its name in a list of changes.
    let one = |kind: &'static str| {
        move |State(app): State<App>, Path(name): Path<String>, text: Text| {
            change(app, name, text, kind)
        }
    };
    let payload = post(one("set_payload")).put(one("overwrite_payload"));
    Router::new()
        .route(&of(""), put(one("upsert")).post(records::retrieve))
        .route(&of("/delete"), post(one("delete")))
        .route(&of("/payload"), payload)
        .route(&of("/payload/delete"), post(one("delete_payload")))
        .route(&of("/payload/clear"), post(one("clear_payload")))
        .route(&of("/vectors"), put(one("update_vectors")))
        .route(&of("/vectors/delete"), post(one("delete_vectors")))
        .route(&of("/batch"), post(several))
}

async fn change(app: App, name: String, text: Text, kind: &'static str) -> Response {
    let read = move |text: &Text| {
        let read = |node: &Node<'_>| Operation::read_body(kind, node).map(|it| vec![it]);
        text.read_with(Texts::Documents, "a change of points", kind, read)
    };
    app.answer(async {
        let made = make(&app, &name, app.read(text, read).await?).await?;
        Ok(made.into_iter().next())
    })
    .await
}

async fn several(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    let read = |text: &Text| {
        text.read_with(Texts::Documents, "a list of changes", "request", |node| {
            let list = node.object(&["operations"])?.required("operations")?;
            list.array()?.iter().map(Operation::read).collect::<Result<Vec<_>>>()
        })
    };
    app.answer(async { make(&app, &name, app.read(text, read).await?).await }).await
}

/// Makes changes, in a transaction with those of others that wait; what is said of each.
async fn make(app: &App, name: &str, operations: Vec<Operation>) -> Result<Vec<Value>, Refusal> {
    let (hosted, count) = (app.registry.get(name)?, operations.len());
    hosted.handle()?.apply(operations).await?;
    Ok(vec![completed(hosted.collection()?)?; count])
}

/// Answer that a change is made, and lasts: whether a client waits for it or not.
pub(super) fn completed(collection: &Collection) -> Result<Value, Refusal> {
    let operation = collection.snapshot()?.transaction();
    Ok(json!({"operation_id": operation, "status": "completed"}))
}
