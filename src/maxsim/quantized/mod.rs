//! Upper bounds on scores, from token matrices that were quantized when they were stored.
//!
//! A bound reads half the bytes of a score and multiplies four values where a score multiplies one. It is never less than
//! the score, so a document whose bound is below k scores isn't among the best k, and the answer is the same.
//!
//! # Why the bounds hold
//!
//! Of a document row x there are codes z, a scale a and a residual r ≥ |R·x − a·z|, where R is orthogonal and |·| the
//! length ([`QuantizedMatrix`](crate::multivector::QuantizedMatrix)); and N, which no |x| and no |a·z| of the document
//! exceeds. A query token q becomes integers w of a unit b, too, and f ≥ |R·q − b·w| is known. Let u = 2⁻²⁴, what an f32
//! is rounded by at most, relative to it.
//!
//! - *A similarity.* q·x = R·q · R·x = b·w · a·z + (R·q − b·w) · a·z + R·q · (R·x − a·z), so by Cauchy and Schwarz it is
//!   at most a·b·(w·z) + f·N + |q|·r. (That R·q and R·x are computed in f32 is part of f and r.)
//! - *The sum w·z* is exact in 32 bits: up to 65,536 products of 255 and 127, as codes are stored plus 128, less 128·Σw.
//! - *The maximum* over rows is taken of a·(w·z) + r·c in f32, where c ≥ |q|/b, and multiplied by b in f64. Three roundings
//!   of the first term, which is at most (|q| + f)·N/b, and one of the sum: less than 8u·(|q| + f)·N, as r ≤ N. A maximum of
//!   numbers, none of which is less than its similarity, is no less than the greatest similarity.
//! - *The score* itself is computed in f32 and is what is to be bounded. However dim products and n maxima are added, no
//!   term passes through more than dim + n additions, so it is off by at most γ·Σ|q|·N where
//!   γ = (dim + n)u / (1 − (dim + n)u) (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 4.2), and
//!   a similarity's Σ|qᵢ|·|xᵢ| ≤ |q|·|x|. Products of two f16 are exact in f32.
//! - *These bounds* are computed in f64, whose rounding errors 10⁻⁹·|q|·N a token covers.
//!
//! So score ≤ Σ b·maximum + N·Σ (f + (8u + γ + 10⁻⁹)·(|q| + f)).
//!
//! | file | holds |
//! |---|---|
//! | `query.rs` | a query in integers, and the sum above |
//! | `lanes.rs` | lanes of four integers each, and portable ones |
//! | `avx2.rs`, `avx512.rs` | the same for AVX2 and AVX-VNNI, and for AVX-512 VNNI |
//! | `integers.rs` | which of them this machine has, found out once |
//! | `kernel.rs` | a document's maxima |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod integers;
mod kernel;
mod lanes;
mod query;
#[cfg(test)]
mod tests;

pub(super) use integers::Integers;
pub(super) use kernel::Scratch;
pub(super) use query::QuantizedQuery;
