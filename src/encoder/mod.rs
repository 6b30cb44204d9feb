//! Text to vectors.
//!
//! | file | holds |
//! |---|---|
//! | `encoding.rs` | [`Encoder`]: texts to token matrices, with the place of each token |
//! | `checkpoint/` | [`Checkpoint`]: an encoder from the folder of a model |
//! | `passages.rs` | [`Passages`]: a long text in pieces that a model reads whole |
//! | `boundaries.rs` | where a text may be cut: paragraphs, sentences, lines, words |
//! | `bm25.rs` | `Bm25`: sparse vectors of the words of a text |

#[cfg(feature = "server")]
mod bm25;
#[cfg(feature = "encoder")]
mod boundaries;
#[cfg(feature = "encoder")]
mod checkpoint;
mod encoding;
#[cfg(feature = "encoder")]
mod passages;

#[cfg(feature = "server")]
pub use bm25::Bm25;
#[cfg(feature = "encoder")]
pub use checkpoint::Checkpoint;
pub use encoding::{Encoder, Encoding, Token};
#[cfg(feature = "encoder")]
pub use passages::Passages;
