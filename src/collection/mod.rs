//! Points, kept with their payloads and vectors, durably, in a directory.
//!
//! A [`Collection`] is one LMDB file. It is made with a [`CollectionConfig`] in Qdrant's shape, which
//! names the vectors that points may have: dense ones, for recall, and multivectors, for MaxSim, kept
//! in f16 and read in place, beside their values in f32. FORMAT.md says what stands where.
//!
//! ```
//! use maxfold::collection::{Collection, CollectionConfig, Point, Vector, VectorConfig};
//! use maxfold::filter::Filter;
//! use maxfold::recall::Distance;
//!
//! let config = CollectionConfig::new()
//!     .vector("dense", VectorConfig::dense(2, Distance::Cosine))
//!     .vector("tokens", VectorConfig::multi(3, Distance::Dot));
//! let directory = tempfile::tempdir().unwrap();
//! let collection = Collection::create(directory.path(), config)?;
//!
//! let payload = serde_json::json!({"title": "Bicycles", "year": 2024});
//! let point = Point::new(7)
//!     .vector("dense", vec![3.0, 4.0])
//!     .vector("tokens", Vector::Multi { values: vec![1.0, 0.0, 0.5, 0.0, 1.0, 0.25], dim: 3 })
//!     .payload(payload.as_object().unwrap().clone());
//! collection.upsert(vec![point])?;
//!
//! let recent: Filter = r#"{"must": {"key": "year", "range": {"gte": 2020}}}"#.parse()?;
//! let snapshot = collection.snapshot()?;
//! let found = snapshot.select(&recent)?.points.min().unwrap();
//! assert_eq!(snapshot.dense("dense", found)?.unwrap(), [0.6, 0.8]);
//! assert_eq!(snapshot.tokens("tokens", found)?.unwrap().tokens(), 2);
//! # Ok::<(), maxfold::Error>(())
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `config.rs`, `config_json.rs`, `hnsw_json.rs` | [`CollectionConfig`]: which vectors points have; its JSON |
//! | `config_change.rs`, `reconfigure.rs` | [`ConfigChange`]; vectors added and dropped, parameters changed |
//! | `schema.rs` | the configuration of a state, and the slots of its vectors |
//! | `vector.rs`, `point.rs`, `point_json.rs` | [`Vector`], [`Point`], [`Selector`]; what is checked of a point; a point a line |
//! | `structure/`, `verify.rs` | whether LMDB may open a file; whether its records fit together |
//! | `row_warnings.rs` | warnings of token vectors that hardly any model gives |
//! | `payload_index.rs`, `indexes.rs`, `index_values.rs` | [`PayloadIndex`]; those of a collection; the values in one |
//! | `environment.rs`, `tables.rs`, `upgrade.rs` | the files: locks, opening, removing; the databases in one; older versions |
//! | `descriptors.rs` | the limit of the process on open files |
//! | `store.rs` | reading and writing records, with checksums |
//! | `record.rs` | keys and values |
//! | `state.rs` | what a collection knows of itself |
//! | `operation.rs`, `operation_json.rs` | [`Operation`]: changes that are asked for |
//! | `apply.rs` | [`Collection::apply`]: changes in a transaction |
//! | `batch.rs`, `batch_points.rs`, `batch_indexes.rs`, `change.rs` | one transaction of changes; what it selects; its indexes; making them |
//! | `sparse.rs`, `postings.rs`, `sparse_search.rs` | sparse vectors, their inverted index, search in it |
//! | `snapshot.rs`, `verified.rs` | [`Snapshot`]: reading |
//! | `scroll.rs` | points in the order of their ids |
//! | `gather.rs`, `matrices.rs` | reading vectors of many points; [`TokenMatrices`] |
//! | `int8.rs`, `quantization.rs` | multivectors that are kept in int8 beside f16; keeping and reading them |
//! | `backup.rs`, `compact.rs`, `statistics.rs` | [`Collection::backup`], [`Collection::compact`], [`Collection::statistics`] |
//! | `collection.rs` | [`Collection`]: create, open, write, read |
//!
//! | word | |
//! |---|---|
//! | point | an id, a payload, and vectors by name |
//! | number | a point's [`PointNumber`](crate::filter::PointNumber): given once, so its vectors never change |
//! | slot | the number that stands for a vector's name, in keys |
//! | record | a value in the file, with its checksum and its key; a *table* is a database of them |
//! | body | a record without its checksum |
//! | state | counters, and the sets of points that a collection knows of itself |
//! | having | the points that have a vector |
//! | transaction | changes that show together and last; also their number |
//! | batch | a transaction that is being made |
//! | snapshot | a collection as one transaction left it |
//! | structure | pages and B-trees, which are checked before LMDB follows them |
//! | map | the file in memory; address space, not memory |
//! | hint | a setting of Qdrant's that is kept and changes no answer |

mod apply;
mod backup;
mod batch;
mod batch_indexes;
mod batch_points;
mod change;
#[expect(clippy::module_inception)]
mod collection;
mod compact;
mod config;
mod config_change;
mod config_json;
mod descriptors;
mod environment;
mod gather;
mod hnsw_json;
mod index_values;
mod indexes;
mod int8;
mod matrices;
mod operation;
mod operation_json;
mod payload_index;
mod point;
mod point_json;
mod postings;
mod quantization;
mod reconfigure;
mod record;
mod row_warnings;
mod schema;
mod scroll;
mod snapshot;
mod sparse;
mod sparse_search;
mod state;
mod statistics;
mod store;
mod structure;
mod tables;
mod upgrade;
mod vector;
mod verified;
mod verify;

pub use collection::Collection;
pub use compact::Compaction;
pub use config::{CollectionConfig, Datatype, Modifier, SparseConfig, VectorConfig, VectorKind};
pub use config_change::ConfigChange;
#[cfg(feature = "server")]
pub(crate) use descriptors::raise_file_limit;
pub use matrices::TokenMatrices;
pub use operation::{Operation, PointVectors, UpdateMode, UpsertOptions};
pub use payload_index::PayloadIndex;
pub use point::{Point, Selector};
pub(crate) use point::{Tokens, Values};
pub(crate) use point_json::NamedVectors;
pub use point_json::PointLines;
pub(crate) use row_warnings::RowWarnings;
pub use scroll::ScrollPage;
pub use snapshot::Snapshot;
pub(crate) use sparse::SparseVector;
pub(crate) use sparse_search::SparseScores;
pub use statistics::CollectionStatistics;
pub use vector::Vector;
