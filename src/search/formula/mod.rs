//! [`Formula`]: scores computed from scores of prefetches and from payloads, in Qdrant's terms.
//!
//! | file | holds |
//! |---|---|
//! | `expression.rs` | [`Formula`], [`Expression`], and how they are built |
//! | `evaluate.rs` | their value for one point |
//! | `json.rs` | from and to JSON |

mod evaluate;
mod expression;
mod json;

pub use expression::{Decay, DecayShape, Expression, Fold, Formula, Function, Variable};
