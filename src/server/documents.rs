//! Texts where vectors belong, `{"text": …, "model": …}`: encoded before a body is read.

use serde_json::json;

use crate::Result;
use crate::encoder::Bm25;
use crate::json::{Json, Node, Tree};

/// What the texts of a body are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// To be found.
    Documents,
    /// To find by.
    Queries,
}

/// Fields in which text is data, not a vector.
const DATA: &[&str] = &["payload", "payloads", "filter", "update_filter", "formula"];

/// Tells whether there may be any: most bodies have none, and are not looked through.
pub(super) fn may_be_in(text: &str) -> bool {
    text.contains("\"model\"")
}

/// Puts vectors in the places of texts, in what stands at a path.
pub(super) fn encode(tree: &mut Tree, path: &str, texts: Texts) -> Result<()> {
    if is_text(tree.json()) {
        *tree = encoded(&Node::root(tree, path), texts)?;
        return Ok(());
    }
    match tree {
        Tree::Array(elements) => {
            let mut places = elements.iter_mut().enumerate();
            places.try_for_each(|(at, it)| encode(it, &format!("{path}[{at}]"), texts))
        }
        Tree::Object(fields) => {
            let mut fields = fields.iter_mut().filter(|(key, _)| !DATA.contains(&&**key));
            fields.try_for_each(|(key, it)| encode(it, &format!("{path}.{key}"), texts))
        }
        _ => Ok(()),
    }
}

fn is_text(json: Json<'_>) -> bool {
    json.get("model").is_some_and(Json::is_string)
        && ["text", "image", "object"].iter().any(|kind| json.get(kind).is_some())
}

fn encoded(node: &Node<'_>, texts: Texts) -> Result<Tree> {
    let object = node.object(&["text", "model", "options", "image", "object"])?;
    let model = object.required("model")?;
    if !["qdrant/bm25", "bm25"].contains(&&*model.string()?.to_lowercase()) {
        return Err(model.unsupported("a model other than Qdrant/bm25"));
    }
    let text = object.required("text")?.string()?;
    let bm25 = object.map("options", Bm25::read)?.unwrap_or_default();
    Ok(Tree::from(&json!(match texts {
        Texts::Documents => bm25.document(text)?,
        Texts::Queries => bm25.query(text)?,
    })))
}
