//! What is kept: points with their payloads and vectors.

mod config;
mod vector;

pub use config::{CollectionConfig, VectorConfig, VectorKind};
pub use vector::Vector;
