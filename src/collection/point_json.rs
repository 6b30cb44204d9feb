//! [`Point`] from Qdrant's JSON, and from files with a point a line.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Point, Vector};
use crate::filter::{Payload, PointId};
use crate::json::{self, Json, Node};
use crate::text::{self, Line};
use crate::{Error, Result};

impl Point {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let object = node.object(&["id", "payload", "vector"])?;
        let payload = object.map("payload", read_payload)?;
        Ok(Self {
            id: PointId::read(&object.required("id")?)?,
            vectors: object.map("vector", read_vectors)?.unwrap_or_default(),
            payload: payload.unwrap_or_default(),
        })
    }
}

pub(super) fn read_payload(node: &Node<'_>) -> Result<Payload> {
    node.any_object().map(|object| object.to_map())
}

/// Vectors by name, or the one without a name.
pub(super) fn read_vectors(node: &Node<'_>) -> Result<BTreeMap<String, Vector>> {
    if let Json::Array(_) = node.json() {
        return Ok([(String::new(), Vector::read(node)?)].into());
    }
    let vectors = node.any_object()?;
    vectors.entries().map(|(name, node)| Ok((name.into(), Vector::read(&node)?))).collect()
}

/// Vectors by name. Alone, the vector without a name is no object.
pub(crate) struct NamedVectors<'a>(pub &'a BTreeMap<String, Vector>);

impl Serialize for NamedVectors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.get("") {
            Some(vector) if self.0.len() == 1 => vector.serialize(serializer),
            _ => self.0.serialize(serializer),
        }
    }
}

impl Serialize for Point {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut point = serializer.serialize_map(Some(3))?;
        point.serialize_entry("id", &self.id)?;
        point.serialize_entry("payload", &self.payload)?;
        point.serialize_entry("vector", &NamedVectors(&self.vectors))?;
        point.end()
    }
}

impl std::str::FromStr for Point {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        json::read(text, "a point", "point", Self::read)
    }
}

/// The points of a file with one a line, `{"id": …, "payload": {…}, "vector": …}`, of which only the
/// id has to be there. It is read as [`text`](crate::text) reads files; blank lines are nothing. An id that
/// stands again is refused with both lines, for which the ids that were read are kept: some 40 bytes each.
///
/// ```
/// use maxfold::collection::PointLines;
///
/// let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
/// std::fs::write(&path, "{\"id\": 1}\n\n{\"id\": 2, \"payload\": {\"a\": 1, \"a\": 2}}\n{\"id\": 1}").unwrap();
/// let points: Vec<_> = PointLines::open(&path)?.collect();
/// assert_eq!(points[0].as_ref().unwrap().id, 1.into());
/// let error = points[1].as_ref().unwrap_err().to_string();
/// assert!(error.contains("expected point.payload.a once, got it again in line 3"));
/// let error = points[2].as_ref().unwrap_err().to_string();
/// assert!(error.ends_with("line 4: expected each id once, got 1, which stands in line 1"));
/// # Ok::<(), maxfold::Error>(())
/// ```
pub struct PointLines {
    path: PathBuf,
    lines: text::Lines,
    /// The line of each id.
    ids: HashMap<PointId, usize>,
}

impl PointLines {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`text::lines`](crate::text::lines).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Ok(Self { path: path.into(), lines: text::lines(path)?, ids: HashMap::new() })
    }

    fn read(&mut self, Line { number, text }: Line) -> Result<Point> {
        let read = text.parse().and_then(|point: Point| match self.ids.entry(point.id) {
            Entry::Occupied(first) => {
                Err(Error::DuplicatePoint { id: point.id.to_string(), line: *first.get() })
            }
            Entry::Vacant(place) => {
                place.insert(number);
                Ok(point)
            }
        });
        read.map_err(|error| error.in_line(number).in_file(&self.path))
    }
}

impl Iterator for PointLines {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        Some(line.and_then(|line| self.read(line)))
    }
}
