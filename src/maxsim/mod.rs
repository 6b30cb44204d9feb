//! MaxSim on the CPU: how a query's token matrix is scored against a document's.
//!
//! ```text
//! score(Q, D) = Σ over query tokens q of  max over document tokens d of  q · d
//! ```
//!
//! the late-interaction operator of ColBERT ([Khattab & Zaharia 2020](https://arxiv.org/abs/2004.12832)).
//! Products and sums are f32 over f16 inputs.
//!
//! | file | holds |
//! |---|---|
//! | `reference.rs` | the definition, in f64: what every kernel is tested against |
//! | `lanes.rs` | what the kernel asks of a vector register, and a portable one |
//! | `avx2.rs`, `avx512.rs` | the same for AVX2 with FMA and F16C, and for AVX-512 |
//! | `instruction_set.rs` | which of them this machine has, found out once |
//! | `query.rs` | queries, packed for the kernel |
//! | `tile.rs` | the tile: rows times registers of query tokens, one algorithm for any lanes |
//! | `kernel.rs` | the blocked kernel: documents, widened, in tiles |
//! | `narrow.rs` | its twin for the last few query tokens |
//! | `dense.rs`, `similarity.rs` | similarities of dense vectors, for recall |
//! | `coded.rs`, `coded_query.rs` | dense vectors in a byte a value, for a first look |
//! | `matches.rs` | what each query token of a hit matched; all similarities |
//! | `scorer.rs` | [`CpuMaxSim`]: many documents in parallel |
//! | `claims.rs` | work that threads share out, the calling one among them |
//! | `bound/` | bounds on scores, from integers |
//! | `rounding.rs` | what rounding may do to sums, for bounds |
//! | `precise.rs` | scores of f32 rows, and how far those of rounded rows may be from them |
//! | `top_k.rs` | the best k documents, without scoring those that can't be among them |
//! | `quantized/` | bounds on scores, from documents in int8 |
//! | `certified.rs` | the best k documents, without reading those that can't be among them |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bound;
mod certified;
mod claims;
#[cfg(feature = "recall")]
mod coded;
#[cfg(feature = "recall")]
mod coded_query;
mod dense;
mod instruction_set;
mod kernel;
mod lanes;
mod matches;
mod narrow;
#[cfg(feature = "collection")]
mod precise;
mod quantized;
mod query;
pub mod reference;
mod rounding;
mod scorer;
mod similarity;
mod tile;
mod top_k;

#[cfg(feature = "recall")]
pub(crate) use claims::each as claimed;
#[cfg(feature = "recall")]
pub(crate) use coded::{Coded, Head};
#[cfg(feature = "recall")]
pub(crate) use coded_query::{CodedQuery, Nearly};
pub use instruction_set::InstructionSet;
pub use matches::SimilarityMatrix;
#[cfg(feature = "collection")]
pub(crate) use precise::{PreciseQuery, distance_rounding, norm};
pub use scorer::CpuMaxSim;
pub use similarity::{absolute_distance, dot, squared_distance};
