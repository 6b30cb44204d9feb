//! Texts where vectors belong, `{"text": …, "model": …}`: encoded before a body is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use crate::collection::Vector;
use crate::encoder::{Bm25, Encoder, Encoding};
use crate::json::{Json, Node, Tree};
use crate::multivector::Pooling;
use crate::{Error, Result};

/// Models by their names, beside BM25.
pub(super) type Models = BTreeMap<String, Arc<dyn Encoder>>;

/// Use of the texts of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// To be found.
    Documents,
    /// To find by.
    Queries,
}

/// Fields in which text is data, not a vector.
const DATA: &[&str] = &["payload", "payloads", "filter", "update_filter", "formula"];
/// Texts of a body that models may encode: a token matrix takes a thousand times what its text does.
const MOST: usize = 256;

/// Tells whether there may be any: most bodies have none, and are not looked through.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    let model = b"\"model\"";
    text.windows(model.len()).any(|it| it == model)
}

/// Tells whether there are any.
pub(super) fn are_in(tree: &Tree) -> bool {
    match tree {
        _ if is_text(tree.json()) => true,
        Tree::Array(elements) => elements.iter().any(are_in),
        Tree::Object(fields) => {
            fields.iter().any(|(key, it)| !DATA.contains(&&**key) && are_in(it))
        }
        _ => false,
    }
}

/// Puts vectors in the places of texts, in what stands at a path.
pub(super) fn encode(tree: &mut Tree, path: &str, texts: Texts, models: &Models) -> Result<()> {
    let mut places = Vec::new();
    find(tree, path.into(), &mut places);
    let mut left: BTreeMap<&str, Vec<Asked<'_>>> = BTreeMap::new();
    for (path, place) in places {
        match By::read(&Node::root(place, path), models)? {
            By::Words(bm25, text) => {
                let vector = match texts {
                    Texts::Documents => bm25.document(&text)?,
                    Texts::Queries => bm25.query(&text)?,
                };
                *place = Tree::from(&json!(vector));
            }
            By::Model(name, text, pool) => {
                left.entry(name).or_default().push(Asked { place, text, pool });
            }
        }
    }
    if left.values().map(Vec::len).sum::<usize>() > MOST {
        return Err(Error::TooMany { what: "texts for models in a body", most: MOST as u32 });
    }
    left.into_iter().try_for_each(|(name, asked)| by_model(&*models[name], asked, texts))
}

/// Texts, each with its path.
fn find<'t>(tree: &'t mut Tree, path: String, found: &mut Vec<(String, &'t mut Tree)>) {
    if is_text(tree.json()) {
        found.push((path, tree));
        return;
    }
    match tree {
        Tree::Array(elements) => {
            let places = elements.iter_mut().enumerate();
            places.for_each(|(at, it)| find(it, format!("{path}[{at}]"), found));
        }
        Tree::Object(fields) => {
            let fields = fields.iter_mut().filter(|(key, _)| !DATA.contains(&&**key));
            fields.for_each(|(key, it)| find(it, format!("{path}.{key}"), found));
        }
        _ => {}
    }
}

fn is_text(json: Json<'_>) -> bool {
    json.get("model").is_some_and(Json::is_string)
        && ["text", "image", "object"].iter().any(|kind| json.get(kind).is_some())
}

/// A text, and by what it is encoded.
enum By<'m> {
    Words(Bm25, String),
    Model(&'m str, String, Pool),
}

/// A text for a model, and where its vector is to be.
struct Asked<'t> {
    place: &'t mut Tree,
    text: String,
    pool: Pool,
}

/// The vector that a model's matrix becomes.
#[derive(Clone, Copy, Default)]
enum Pool {
    /// The multivector.
    #[default]
    Whole,
    /// One of fewer rows.
    Rows(Pooling),
    /// The dense vector that is the mean of all rows.
    Mean,
}

impl<'m> By<'m> {
    fn read(node: &Node<'_>, models: &'m Models) -> Result<Self> {
        let object = node.object(&["text", "model", "options", "image", "object"])?;
        let model = object.required("model")?;
        let text = || object.required("text")?.text();
        if ["qdrant/bm25", "bm25"].contains(&&*model.string()?.to_lowercase()) {
            return Ok(Self::Words(
                object.map("options", Bm25::read)?.unwrap_or_default(),
                text()?,
            ));
        }
        let Some((name, _)) = models.get_key_value(model.string()?) else {
            let names = models.keys().map(|name| format!(", {name}"));
            return Err(model.expected(format!("one of Qdrant/bm25{}", names.collect::<String>())));
        };
        Ok(Self::Model(name, text()?, object.map("options", Pool::read)?.unwrap_or_default()))
    }
}

impl Pool {
    fn read(options: &Node<'_>) -> Result<Self> {
        let pool = |node: &Node<'_>| match node.string()? {
            "mean" => Ok(Self::Mean),
            text => text.parse().map(Self::Rows).map_err(|error| node.wrong(error)),
        };
        Ok(options.object(&["pool"])?.map("pool", pool)?.unwrap_or_default())
    }

    fn vector(self, encoding: Encoding) -> Result<Vector> {
        let dim = encoding.dim();
        Ok(match self {
            Self::Mean => encoding.mean().into(),
            Self::Rows(pooling) => {
                Vector::Multi { values: pooling.apply(encoding.values(), dim)?, dim }
            }
            Self::Whole => Vector::Multi { values: encoding.into_values(), dim },
        })
    }
}

/// Encodes texts by one model, all at once.
fn by_model(encoder: &dyn Encoder, asked: Vec<Asked<'_>>, texts: Texts) -> Result<()> {
    let list: Vec<&str> = asked.iter().map(|it| it.text.as_str()).collect();
    let encodings = match texts {
        Texts::Documents => encoder.documents(&list)?,
        Texts::Queries => encoder.queries(&list)?,
    };
    let (expected, got) = (list.len(), encodings.len());
    if got != expected {
        return Err(Error::CountMismatch { what: "encodings of texts", expected, got });
    }
    for (Asked { place, pool, .. }, encoding) in asked.into_iter().zip(encodings) {
        *place = Tree::from(&json!(pool.vector(encoding)?));
    }
    Ok(())
}
