//! Text to vectors.
//!
//! | file | holds |
//! |---|---|
//! | `bm25.rs` | [`Bm25`]: sparse vectors of the words of a text |

mod bm25;

pub use bm25::Bm25;
