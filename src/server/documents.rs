//! Texts where vectors belong, `{"text": …, "model": …}`: encoded before a body is read.

use serde_json::{Value, json};

use crate::Result;
use crate::encoder::Bm25;
use crate::json::Node;

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

/// A body with vectors in the place of texts.
pub(super) fn encoded(node: &Node<'_>, texts: Texts) -> Result<Value> {
    if is_text(node.value()) {
        return encode(node, texts);
    }
    match node.value() {
        Value::Array(_) => node.array()?.iter().map(|it| encoded(it, texts)).collect(),
        Value::Object(fields) => {
            let read = node.any_object()?;
            let fields = fields.iter().map(|(key, value)| match read.get(key) {
                Some(node) if !DATA.contains(&key.as_str()) => {
                    Ok((key.clone(), encoded(&node, texts)?))
                }
                _ => Ok((key.clone(), value.clone())),
            });
            fields.collect::<Result<_>>().map(Value::Object)
        }
        value => Ok(value.clone()),
    }
}

fn is_text(value: &Value) -> bool {
    value.get("model").is_some_and(Value::is_string)
        && ["text", "image", "object"].iter().any(|kind| value.get(kind).is_some())
}

fn encode(node: &Node<'_>, texts: Texts) -> Result<Value> {
    let object = node.object(&["text", "model", "options", "image", "object"])?;
    let model = object.required("model")?;
    if !["qdrant/bm25", "bm25"].contains(&&*model.string()?.to_lowercase()) {
        return Err(model.unsupported("a model other than Qdrant/bm25"));
    }
    let text = object.required("text")?.string()?;
    let bm25 = object.map("options", Bm25::read)?.unwrap_or_default();
    Ok(json!(match texts {
        Texts::Documents => bm25.document(text)?,
        Texts::Queries => bm25.query(text)?,
    }))
}
