//! The ids of items, in the metadata of an interchange file.

use std::collections::{HashMap, HashSet};

use crate::{Error, Result};

/// The entry of the metadata that has them.
const ENTRY: &str = "ids";

/// The ids that a file's metadata has, one an item, all different; a JSON list of strings, because
/// safetensors' metadata is text.
pub(super) fn read(
    metadata: Option<&HashMap<String, String>>,
    items: usize,
) -> Result<Option<Vec<String>>> {
    let Some(text) = metadata.and_then(|entries| entries.get(ENTRY)) else { return Ok(None) };
    let ids: Vec<String> = serde_json::from_str(text).map_err(|fault| Error::InvalidParameter {
        name: "the metadata's ids",
        expected: "a JSON list of strings".into(),
        got: format!("{:?} ({fault})", beginning(text)),
    })?;
    check(&ids, items)?;
    Ok(Some(ids))
}

/// The metadata with these ids.
pub(super) fn write(ids: &[String], items: usize) -> Result<HashMap<String, String>> {
    check(ids, items)?;
    Ok(HashMap::from([(ENTRY.into(), serde_json::json!(ids).to_string())]))
}

fn check(ids: &[String], items: usize) -> Result<()> {
    if ids.len() != items {
        return Err(Error::CountMismatch { what: "ids", expected: items, got: ids.len() });
    }
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().find(|id| !seen.insert(id.as_str())) {
        None => Ok(()),
        Some(id) => Err(Error::InvalidParameter {
            name: "ids",
            expected: "all different".into(),
            got: format!("{id:?} twice"),
        }),
    }
}

fn beginning(text: &str) -> &str {
    text.char_indices().nth(40).map_or(text, |(at, _)| &text[..at])
}
