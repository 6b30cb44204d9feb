//! Bounds on scores, from integers: cheaper than scores, and never wrong.
//!
//! Query tokens and document tokens are rounded to integers of 16 bits, of which lanes multiply two
//! where they multiply one f32, or of 8 bits, of which they multiply four. What rounding may have changed
//! is known, so the score lies between two bounds. Nothing is kept from request to request: documents are
//! rounded as they are read.
//!
//! # Why the bounds hold
//!
//! Let a be the largest magnitude in a document, n the number of query tokens, L the largest integer
//! that a document's value may become, |·|₁ the sum of magnitudes, u = 2⁻²⁴ what an f32 is rounded by
//! at most, relative to it. In every step a column of q is multiplied by at most a, or by an error
//! that is the same for all columns; so errors are sums of magnitudes, times something of the document.
//!
//! - *The document.* A chunk of rows whose largest magnitude is c ≤ a becomes integers z of the unit
//!   c/L. Two roundings in f32 (the scale L/c, and the product) and one to an integer leave
//!   |x − z·c/L| ≤ c·(½/L + 2u + u²), which is at most δ = a·(½/L + 4u).
//! - *The query.* A token q becomes integers w of a unit of its own, in f64; let q̂ = w · unit.
//!   q·x = q̂·x̂ + q̂·(x − x̂) + (q − q̂)·x, so q·x and q̂·x̂ differ by |q̂|₁·δ + |q − q̂|₁·a at most.
//! - *No sum overflows.* Σ|w·z| ≤ |w|₁·L, and the unit is so large that this is at most 2³¹ − 1.
//!   L = √((2³¹ − 1)/dim), or what 16 bits hold, so that both sides have about as many bits. So the
//!   products' sum is exact, in any order, and the same on every machine.
//! - *The maximum* over a document's tokens of numbers, each of which is off by at most e, is off by at
//!   most e. It is taken in integers over a chunk and in f32 over chunks: three roundings (to f32, the
//!   unit, the product) of what is at most |q̂|₁·a, so at most 4u·|q̂|₁·a.
//! - *The score* itself is computed in f32 and is what is to be bounded. However dim products and n
//!   maxima are added, no term passes through more than dim + n additions, so it is off by at most
//!   γ·Σ|q|₁·a where γ = (dim + n)u / (1 − (dim + n)u) (Higham 2002, "Accuracy and Stability of
//!   Numerical Algorithms", section 4.2). Products of two f16 are exact in f32.
//! - *These bounds* are computed in f64, whose rounding errors 10⁻⁹·Σ|q|₁·a covers.
//!
//! So score = Σ unit · maximum ± a · Σ (|q̂|₁·(½/L + 8u) + |q − q̂|₁ + (γ + 10⁻⁹)·|q|₁).
//!
//! With 8 bits, L and the query's largest integer are 127, and two things are different:
//!
//! - *The query* is rounded so coarsely that |q − q̂|₁·a would be most of the bound. By Cauchy and Schwarz (q − q̂)·x is
//!   also at most |q − q̂|₂·|x|₂, about a third of it. A row's integers are squared and added up as they are made, at most
//!   127²·dim, so the longest x̂ of a document is known; and |x|₂ ≤ |x̂|₂ + √dim·δ. Its rounding in f64 is within what
//!   10⁻⁹·|q|₁·a covers.
//! - *No sum overflows.* A document's integers are stored plus 128, without a sign, as the instruction multiplies: sums of at
//!   most 65,536 products of 255 and 127 are less than 2³¹, and 128·Σw is taken off them.
//!
//! So score = Σ unit · maximum ± (a · Σ (|q̂|₁·(½/L + 8u) + |q − q̂|₂·√dim·(½/L + 4u) + (γ + 10⁻⁹)·|q|₁) + max |x̂|₂ · Σ |q − q̂|₂).
//!
//! | file | holds |
//! |---|---|
//! | `query.rs` | a query in integers, and the sum above |
//! | `lanes.rs` | lanes of two or four integers each, and portable ones |
//! | `avx2.rs`, `avx512.rs` | the same for AVX2 and AVX-VNNI, and for AVX-512 VNNI |
//! | `integers.rs` | which of them this machine has, found out once |
//! | `kernel.rs` | a document's maxima, in the tiles of the exact kernel |
//! | `documents.rs` | many documents in parallel |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod documents;
mod integers;
mod kernel;
mod lanes;
mod query;
#[cfg(test)]
pub(super) mod tests;

pub(super) use documents::bounds;
pub(super) use integers::Integers;
pub(super) use query::{Bounds, QuantizedQuery};
