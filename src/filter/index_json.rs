//! [`IndexKind`] from JSON and to it.

use serde_json::{Value, json};

use super::{IndexKind, TextParams};
use crate::json::{Foreign, Json, Node};
use crate::{Error, Result};

/// Parameters that change at most what an answer costs.
const HINTS: &[Foreign] = &[
    Foreign::flag("is_tenant"),
    Foreign::flag("is_principal"),
    Foreign::flag("on_disk"),
    Foreign::hint("memory"),
    Foreign::flag("enable_hnsw"),
    Foreign::flag("lookup"),
    Foreign::flag("range"),
    Foreign::flag("prefix"),
];

/// An index that would answer nothing. Ours would, but who asks for that means something else.
fn no_use() -> Error {
    let expected = "true where range is false".into();
    Error::InvalidParameter { name: "lookup", expected, got: "false".into() }
}

impl IndexKind {
    /// Reads `"keyword"`, or `{"type": "keyword", …}`.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let name = match node.json() {
            Json::Object(_) => node.any_object()?.required("type")?,
            _ => node.clone(),
        };
        let known = || Self::ALL.into_iter().find(|kind| Some(kind.name()) == name.json().as_str());
        let expected = || Self::ALL.map(|kind| kind.name().to_owned()).join(", ");
        let kind = known().ok_or_else(|| name.expected(format!("one of {}", expected())))?;
        match (node.json(), kind) {
            (Json::Object(_), Self::Text(_)) => TextParams::read(node).map(Self::Text),
            (Json::Object(_), kind) => {
                let object = node.object_beside(&["type"], HINTS)?;
                let off =
                    |field| object.get(field).is_some_and(|it| it.json().as_bool() == Some(false));
                match kind == Self::Integer && off("lookup") && off("range") {
                    true => Err(node.wrong(no_use())),
                    false => Ok(kind),
                }
            }
            (_, kind) => Ok(kind),
        }
    }

    /// The name alone, or, of an index with parameters, an object.
    pub(crate) fn to_json(&self) -> Value {
        let params = match self {
            Self::Text(params) => params.to_json(),
            _ => return self.name().into(),
        };
        if params.is_empty() {
            return self.name().into();
        }
        let mut object = params;
        object.insert("type".into(), json!(self.name()));
        object.into()
    }
}
