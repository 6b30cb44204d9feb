//! [`Point`] from Qdrant's JSON, and from files with a point a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Point, Vector};
use crate::filter::PointId;
use crate::json::{self, Node};
use crate::text::{self, Line};
use crate::{Error, Result};

impl Point {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["id", "payload", "vector"])?;
        let payload = object.map("payload", |node| {
            node.value().as_object().cloned().ok_or_else(|| node.expected("an object"))
        })?;
        Ok(Self {
            id: PointId::read(&object.required("id")?)?,
            vectors: object.map("vector", read_vectors)?.unwrap_or_default(),
            payload: payload.unwrap_or_default(),
        })
    }
}

/// Vectors by name, or the one without a name.
fn read_vectors(node: &Node<'_>) -> Result<BTreeMap<String, Vector>> {
    if let Value::Array(_) = node.value() {
        return Ok([(String::new(), Vector::read(node)?)].into());
    }
    let vectors = node.any_object()?;
    vectors.entries().map(|(name, node)| Ok((name.into(), Vector::read(&node)?))).collect()
}

impl std::str::FromStr for Point {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a point", "point", Self::read)
    }
}

/// The points of a file with one a line, `{"id": …, "payload": {…}, "vector": …}`, of which only the
/// id has to be there. It is read as [`text`](crate::text) reads files; blank lines are nothing.
///
/// ```
/// use maxfold::collection::PointLines;
///
/// let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
/// std::fs::write(&path, "{\"id\": 1}\n\n{\"id\": 2, \"payload\": {\"a\": 1, \"a\": 2}}\n").unwrap();
/// let points: Vec<_> = PointLines::open(&path)?.collect();
/// assert_eq!(points[0].as_ref().unwrap().id, 1.into());
/// let error = points[1].as_ref().unwrap_err().to_string();
/// assert!(error.contains("expected point.payload.a once, got it again in line 3"));
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct PointLines {
    path: PathBuf,
    lines: text::Lines,
}

impl PointLines {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`text::lines`](crate::text::lines).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self { path: path.into(), lines: text::lines(path)? })
    }
}

impl Iterator for PointLines {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = |Line { number, text }: Line| {
            let point: Result<Point> = text.parse();
            point.map_err(|error| error.in_line(number).in_file(&self.path))
        };
        Some(self.lines.next()?.and_then(read))
    }
}
