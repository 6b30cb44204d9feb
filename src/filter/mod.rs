//! Filters over payloads, in Qdrant's JSON and semantics.
//!
//! A [`Filter`] is built in Rust or read from JSON. [`Filter::matches`] evaluates it on one payload;
//! [`Snapshot::select`](crate::collection::Snapshot::select) gives the points of a collection that match,
//! with payload indexes where there are any. Which points match never depends on which indexes there are, but
//! for text: an index says what its words are.
//!
//! ```
//! use maxfold::filter::{Filter, Subject};
//!
//! let filter: Filter = r#"{
//!     "must": {"key": "year", "range": {"gte": 2000}},
//!     "should": [
//!         {"key": "tags", "match": {"any": ["rust", "gpu"]}},
//!         {"nested": {"key": "authors", "filter": {"must": {"key": "name", "match": {"value": "Ada"}}}}}
//!     ]
//! }"#.parse()?;
//! let payload = serde_json::json!({"year": 2024, "tags": ["gpu", "wgsl"]});
//! let payload = payload.as_object().unwrap();
//! assert!(filter.matches(&Subject { id: 1.into(), payload, vectors: &[], texts: &[] })?);
//!
//! let error = r#"{"must": [{"key": "year", "range": {"from": 2000}}]}"#.parse::<Filter>();
//! assert_eq!(
//!     error.unwrap_err().to_string(),
//!     "expected only gt, gte, lt, lte in filter.must[0].range, got \"from\""
//! );
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `point_id.rs`, `datetime.rs`, `geo.rs`, `range.rs` | [`PointId`], [`Datetime`], [`GeoPoint`], [`Range`] |
//! | `point_number.rs`, `point_set.rs` | [`PointNumber`], [`PointSet`] |
//! | `slice.rs` | [`Slice`]: a part of all ids |
//! | `path.rs` | [`FieldPath`]: `a.b`, `a[].b`, `a[0]` |
//! | `payload.rs` | [`Payload`], and what may be done with one |
//! | `condition.rs`, `match_value.rs` | [`Filter`] and its conditions; [`Match`] |
//! | `read.rs`, `write.rs` | from and to JSON |
//! | `matches.rs` | evaluation on one payload |
//! | `geo_area.rs`, `geo_cells.rs` | [`GeoArea`]; which cells of the Earth it takes up |
//! | `text_match.rs`, `text_params.rs` | [`TextMatch`], [`TextParams`]: matching of text |
//! | `language.rs` | [`Language`]: stop words and stemmers |
//! | `index.rs`, `index_json.rs` | [`IndexKind`]: the keys of a payload in an index |
//! | `index_keys.rs`, `lookup.rs` | what a key is made of; the keys that answer a test |
//! | `points.rs` | the points that match a filter |

mod condition;
mod datetime;
mod geo;
mod geo_area;
mod geo_cells;
mod index;
mod index_json;
mod index_keys;
mod language;
mod lookup;
mod match_value;
mod matches;
mod path;
pub mod payload;
mod point_id;
mod point_number;
mod point_set;
mod points;
mod range;
mod read;
mod slice;
mod text_match;
mod text_params;
mod write;

pub use condition::{Condition, Filter, MinShould, Test};
pub use datetime::Datetime;
pub use geo::GeoPoint;
pub use geo_area::{GeoArea, GeoRing};
pub use index::IndexKind;
pub(crate) use index::IndexValue;
pub use index_keys::{LONGEST_KEY, Span};
pub use language::Language;
pub use match_value::{Match, Scalar, Scalars};
pub use matches::Subject;
pub use path::FieldPath;
pub use payload::{Payload, PayloadSelector};
pub use point_id::PointId;
pub use point_number::PointNumber;
pub use point_set::PointSet;
pub use points::{Points, Selected};
pub use range::Range;
pub use slice::Slice;
pub use text_match::TextMatch;
pub use text_params::{TextParams, Tokenizer};
