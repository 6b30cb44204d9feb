//! Requests and answers of MaxSim, whichever backend computes it, and the order of every ranking.
//!
//! | file | holds |
//! |---|---|
//! | `request.rs` | [`Query`], its candidates' [`Matrices`], and what is [`Wanted`] |
//! | `hits.rs` | [`Scored`] documents, the [`TokenMatch`]es in them, and how many were [`Certified`] |
//! | `order.rs` | the order of hits, and the first few of many |

mod hits;
mod order;
mod request;

pub(crate) use hits::{Bounding, Ranked};
pub use hits::{Certified, Scored, TokenMatch};
#[cfg(feature = "recall")]
pub(crate) use order::keep_first;
pub(crate) use order::{by_rank, first, keep_with_ties};
pub use request::{DocumentId, Matrices, Query, Wanted};
