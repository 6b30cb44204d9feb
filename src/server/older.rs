//! Routes of older clients: each is a query in another shape.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value, json};

use super::app::App;
use super::body::Text;
use super::parameters::Path;
use super::query::{grouped, one, several};
use crate::Result;
use crate::json::{Node, Tree};
use crate::search::{GroupRequest, QueryRequest};

/// A shape of older requests, brought into that of a query.
type Shape = fn(Map<String, Value>) -> Value;

pub(super) fn routes() -> Router<App> {
    let of = |path: &str| format!("/collections/{{collection_name}}/points/{path}");
    let one = |shape: Shape| {
        move |State(app): State<App>, Path(name): Path<String>, text: Text| {
            single(app, name, text, shape)
        }
    };
    let many = |shape: Shape| {
        move |State(app): State<App>, Path(name): Path<String>, text: Text| {
            batch(app, name, text, shape)
        }
    };
    let in_groups = |shape: Shape| {
        move |State(app): State<App>, Path(name): Path<String>, text: Text| {
            groups(app, name, text, shape)
        }
    };
    Router::new()
        .route(&of("search"), post(one(search)))
        .route(&of("search/batch"), post(many(search)))
        .route(&of("search/groups"), post(in_groups(search)))
        .route(&of("recommend"), post(one(recommend)))
        .route(&of("recommend/batch"), post(many(recommend)))
        .route(&of("recommend/groups"), post(in_groups(recommend)))
        .route(&of("discover"), post(one(discover)))
        .route(&of("discover/batch"), post(many(discover)))
}

async fn single(app: App, name: String, text: Text, shape: Shape) -> Response {
    let read = move |text: Text| text.read("a request", "request", |node| read(shape, node));
    app.answer(async {
        let request = app.read(text, read).await?;
        Ok(one(&app, &name, request).await?.points)
    })
    .await
}

async fn batch(app: App, name: String, text: Text, shape: Shape) -> Response {
    let read = move |text: Text| {
        text.read("requests", "request", |node| {
            let list = node.object(&["searches"])?.required("searches")?.array()?;
            list.iter().map(|node| read(shape, node)).collect::<Result<Vec<_>>>()
        })
    };
    app.answer(async {
        let requests = app.read(text, read).await?;
        let answers = several(&app, &name, requests).await?;
        Ok(answers.into_iter().map(|it| it.points).collect::<Vec<_>>())
    })
    .await
}

async fn groups(app: App, name: String, text: Text, shape: Shape) -> Response {
    app.call(move |app| {
        let request = text.read("a request for groups", "request", |node| {
            GroupRequest::read(&Node::root(&Tree::from(&reshape(shape, node)?), "request"))
        })?;
        Ok(json!({"groups": grouped(app, &name, &request)?.groups}))
    })
    .await
}

fn read(shape: Shape, node: &Node<'_>) -> Result<QueryRequest> {
    QueryRequest::read(&Node::root(&Tree::from(&reshape(shape, node)?), "request"))
}

fn reshape(shape: Shape, node: &Node<'_>) -> Result<Value> {
    let mut object = node.any_object()?.to_map();
    if let Some(limit) = object.remove("top") {
        object.entry("limit").or_insert(limit);
    }
    Ok(shape(object))
}

/// Moves a field to another place.
fn take(object: &mut Map<String, Value>, key: &str) -> Value {
    object.remove(key).unwrap_or_default()
}

/// `vector` is `[…]`, or `{"name": …, "vector": …}`.
fn search(mut object: Map<String, Value>) -> Value {
    match take(&mut object, "vector") {
        Value::Object(mut named) if named.contains_key("name") => {
            object.insert("using".into(), take(&mut named, "name"));
            object.insert("query".into(), json!({"nearest": take(&mut named, "vector")}));
        }
        vector => {
            object.insert("query".into(), json!({"nearest": vector}));
        }
    }
    object.into()
}

fn recommend(mut object: Map<String, Value>) -> Value {
    let examples = json!({
        "positive": take(&mut object, "positive"),
        "negative": take(&mut object, "negative"),
        "strategy": take(&mut object, "strategy"),
    });
    object.insert("query".into(), json!({"recommend": examples}));
    name_vector(&mut object);
    object.into()
}

/// With a target it is a discovery, without a context.
fn discover(mut object: Map<String, Value>) -> Value {
    let (target, context) = (take(&mut object, "target"), take(&mut object, "context"));
    let query = match target {
        Value::Null => json!({"context": context}),
        target => json!({"discover": {"target": target, "context": context}}),
    };
    object.insert("query".into(), query);
    name_vector(&mut object);
    object.into()
}

/// `using` may be an object with a name.
fn name_vector(object: &mut Map<String, Value>) {
    if let Some(Value::Object(named)) = object.get_mut("using") {
        let name = take(named, "name");
        object.insert("using".into(), name);
    }
}
