//! Routes: aliases.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::app::{App, Shared};
use super::body::Text;
use super::parameters::Path;
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
    app.call(|app| Ok(list(app, |_| true))).await
}

async fn of(State(app): State<App>, Path(name): Path<String>) -> Response {
    app.call(move |app| {
        let hosted = app.registry.get(&name)?;
        Ok(list(app, |collection| collection == hosted.name()))
    })
    .await
}

fn list(app: &Shared, wanted: impl Fn(&str) -> bool) -> Value {
    let aliases = app.registry.aliases();
    let aliases = aliases.iter().filter(|(_, collection)| wanted(collection));
    let aliases: Vec<Value> = aliases
        .map(|(alias, collection)| json!({"alias_name": alias, "collection_name": collection}))
        .collect();
    json!({"aliases": aliases})
}

async fn change(State(app): State<App>, text: Text) -> Response {
    app.call(move |app| {
        let actions = text.read("changes of aliases", "aliases", |node| {
            let actions = node.object(&["actions"])?.required("actions")?.array()?;
            actions.iter().map(AliasAction::read).collect::<Result<Vec<_>>>()
        })?;
        app.registry.change_aliases(&actions).map(|()| true)
    })
    .await
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
