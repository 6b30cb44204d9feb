//! Routes: points, changed.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{post, put};
use serde::Serialize;

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
    app.answer(changed(&app, &name, text, kind)).await
}

/// Makes a change: what stands under its name in a list of changes.
pub(super) async fn changed(
    app: &App,
    name: &str,
    text: Text,
    kind: &'static str,
) -> Result<Completed, Refusal> {
    let read = move |text: Text| {
        let read = |node: &Node<'_>| Operation::read_body(kind, node).map(|it| vec![it]);
        text.read_with(Texts::Documents, "a change of points", kind, read)
    };
    make(app, name, app.read(text, read).await?).await
}

async fn several(State(app): State<App>, Path(name): Path<String>, text: Text) -> Response {
    app.answer(all_changed(&app, &name, text)).await
}

/// Makes the changes of a list: what is said of each.
pub(super) async fn all_changed(
    app: &App,
    name: &str,
    text: Text,
) -> Result<Vec<Completed>, Refusal> {
    let read = |text: Text| {
        text.read_with(Texts::Documents, "a list of changes", "request", |node| {
            let list = node.object(&["operations"])?.required("operations")?;
            list.array()?.iter().map(Operation::read).collect::<Result<Vec<_>>>()
        })
    };
    let operations = app.read(text, read).await?;
    let count = operations.len();
    Ok(vec![make(app, name, operations).await?; count])
}

/// Makes changes, in a transaction with those of others that wait.
async fn make(app: &App, name: &str, operations: Vec<Operation>) -> Result<Completed, Refusal> {
    let hosted = app.registry.get(name)?;
    hosted.handle()?.apply(operations).await?;
    Completed::now(hosted.collection()?)
}

/// Answer that a change is made, and lasts: whether a client waits for it or not.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "status", rename = "completed")]
pub(super) struct Completed {
    pub operation_id: u64,
}

impl Completed {
    pub fn now(collection: &Collection) -> Result<Self, Refusal> {
        Ok(Self { operation_id: collection.snapshot()?.transaction() })
    }
}
