//! Whatever comes in at a door: an error, or an answer that holds. No panic, and not much memory.
//!
//! A door is tried for `MAXFOLD_RANDOM_SECONDS` (1, if nothing is said), one door at a time, with valid
//! inputs that were changed in their structure, in their bytes, or in both. Every input has a seed of its
//! own; the first one is chosen at random, or is `MAXFOLD_RANDOM_SEED`. So a failure, which names its
//! seed, is tried again with
//!
//! ```sh
//! MAXFOLD_RANDOM_SEED=N MAXFOLD_RANDOM_SECONDS=0 cargo test --release --test random_bytes NAME
//! ```

mod mutate;
mod small_texts;
mod tensors;
mod text_files;
mod trials;

#[cfg(feature = "collection")]
mod collections;
#[cfg(feature = "collection")]
mod graphs;
#[cfg(feature = "collection")]
mod records;
#[cfg(feature = "collection")]
mod requests;
#[cfg(feature = "collection")]
mod sample;
#[cfg(feature = "collection")]
mod trees;
