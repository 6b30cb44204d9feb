//! Upper bounds on the scores that a GPU computes, from rows in int8 that stay in its memory.
//!
//! # Why the bounds hold
//!
//! Names are those of [`QuantizedMatrix`](crate::multivector::QuantizedMatrix) and of the CPU's bounds: of a document row x
//! there are codes z, a scale a and a residual r ≥ |R·x − a·z|; N, which no |x| and no |a·z| of the document exceeds; of a
//! query token q integers w of a unit b, and f ≥ |R·q − b·w|. On the GPU a row has one word beside its codes, and f32 are
//! rounded as WGSL allows: a result that isn't exact becomes either neighbour, so u = 2⁻²³; what is multiplied and added
//! may be fused or not; f16 below 2⁻¹⁴ may be taken for 0. Divisions and roots are not used. Nothing that is computed in
//! f32 is so small that it could be taken for 0, as no f16 is less than 2⁻²⁴.
//!
//! - *The scale* is kept to 13 digits as a', so |a − a'| ≤ 2⁻¹³·a, and *the residual* is raised by |a − a'|·N/a, which is no
//!   less than |a·z − a'·z|. So r' ≥ |R·x − a'·z|, and |a'·z| ≤ (1 + 2⁻¹³)·N.
//! - *A similarity.* q·x = b·w · a'·z + (R·q − b·w) · a'·z + R·q · (R·x − a'·z), so by Cauchy and Schwarz it is at most
//!   a'·b·(w·z) + (1 + 2⁻¹³)·f·N + |q|·r'.
//! - *f16 taken for 0.* A score is of q − q₀ and x − x₀, where q₀ and x₀ are what is left out: its similarities differ by at
//!   most |q₀|·N + |q|·|x₀|. The first is known, as the query's values are; of the other, |x₀| ≤ 2⁻¹⁴·√dim, and ≤ N: that is
//!   added to r'. Then r' is rounded up to 5 digits.
//! - *The score* is computed in f32. However dim products and n maxima are added, no term passes through more than dim + n
//!   additions; matrix units may cut off what they align, which is twice as much. So it is off by at most γ·Σ|q|·N, where
//!   γ is [`of_additions`](query::of_additions)(dim + n, 2u); products of two f16 are exact.
//! - *A document of zeros* has an N that may be taken for 0, and scores that are 0.
//! - *The sum w·z* is exact in 32 bits: up to 65,536 products of 127 and 127.
//! - *The bound* itself is Σ b·(max(a'·(w·z) + r'·c) + e·N) in f32, where c ≥ |q|/b and e ≥ E/b, and b·E·N is all of the
//!   above that has no r'. No term passes through more than n + 8 roundings, and the terms of a token, without their
//!   signs, are at most 5·(|q| + f)·N: a'·b·|w·z| ≤ (1 + 2⁻¹³)·(|q| + f)·N; r' is no more than N for r, N for x₀ and a
//!   sixteenth of both; and E no more than the rest. So roundings are worth at most κ·5·(|q| + f)·N with κ of n + 8 and u.
//!
//! So E = (1 + 2⁻¹³)·f + |q₀| + (γ + 5κ + 10⁻⁹)·(|q| + f), where 10⁻⁹ is for E's own rounding in f64. A maximum of numbers,
//! none of which is less than its similarity, is no less than the greatest similarity; where a document lies in several
//! pieces, each is a part of the maximum with the N of the whole.
//!
//! | file | holds |
//! |---|---|
//! | `query.rs` | query tokens in integers, each with c, e and b |
//! | `probe.rs` | a known batch that a device has to bound correctly before it is trusted |
//! | `rows.rs` | rows as they go up: their codes, and the word beside each |

mod probe;
mod query;
mod rows;
#[cfg(test)]
mod tests;

pub(super) use probe::prove_bounds;
pub(super) use query::int8_tokens;
pub(super) use rows::{append_codes, append_scales};
