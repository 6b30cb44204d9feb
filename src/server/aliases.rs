//! Routes: aliases.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::app::{App, Shared};
use super::body::Text;
use super::parameters::Path;
use super::refusal::Refusal;
use super::registry::AliasAction;
use crate::Result;
use crate::json::Node;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/aliases", get(all))
        .route("/collections/aliases", post(change))
        .route("/collections/{collection_name}/aliases", get(of))
}

async fn all(State(app): State<App>) -> Response {
    app.call(|app| Ok(shown(app.registry.aliases()))).await
}

async fn of(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| Ok(shown(aliases_of(app, &name)?))).await
}

/// The aliases of a collection, each with its name.
pub(super) fn aliases_of(app: &Shared, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
    let (hosted, mut aliases) = (app.registry.get(name)?, app.registry.aliases());
    aliases.retain(|_, collection| collection == hosted.name());
    Ok(aliases)
}

fn shown(aliases: BTreeMap<String, String>) -> Value {
    let aliases: Vec<Value> = aliases
        .iter()
        .map(|(alias, collection)| json!({"alias_name": alias, "collection_name": collection}))
        .collect();
    json!({"aliases": aliases})
}

async fn change(State(app): State<App>, text: Text) -> Response {
    app.call(move |app| make(app, text)).await
}

/// Changes aliases.
pub(super) fn make(app: &Shared, text: Text) -> Result<bool, Refusal> {
    let actions = text.read("changes of aliases", "aliases", |node| {
        let actions = node.object(&["actions"])?.required("actions")?.array()?;
        actions.iter().map(AliasAction::read).collect::<Result<Vec<_>>>()
    })?;
    app.registry.change_aliases(&actions).map(|()| true)
}

impl AliasAction {
    fn read(node: &Node<'_>) -> Result<Self> {
        const ACTIONS: &[&str] = &["create_alias", "delete_alias", "rename_alias"];
        match node.object(ACTIONS)?.only(ACTIONS) {
            Some(("create_alias", node)) => {
                let object = node.object(&["collection_name", "alias_name"])?;
                let alias = object.required("alias_name")?.text()?;
                Ok(Self::Create { alias, collection: object.required("collection_name")?.text()? })
            }
            Some(("delete_alias", node)) => {
                let object = node.object(&["alias_name"])?;
                Ok(Self::Delete { alias: object.required("alias_name")?.text()? })
            }
            Some((_, node)) => {
                let object = node.object(&["old_alias_name", "new_alias_name"])?;
                let from = object.required("old_alias_name")?.text()?;
                Ok(Self::Rename { from, to: object.required("new_alias_name")?.text()? })
            }
            None => Err(node.expected(format!("an object with one of {}", ACTIONS.join(", ")))),
        }
    }
}
