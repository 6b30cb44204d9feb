//! What the cores can do: loops of independent FMAs on every thread at once.

use std::sync::Arc;

use anyhow::Result;
use rayon::ThreadPool;

use crate::peer::Peer;

/// Independent sums, enough to hide the latency of an FMA on any core of these instruction sets.
const SUMS: usize = 12;

/// Steps of a call: some milliseconds.
const STEPS: u32 = 2_000_000;

/// A loop for each instruction set of this machine: `fma avx2`, `fma avx512`.
pub fn peers(pool: &Arc<ThreadPool>) -> Vec<Peer> {
    let mut peers = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features were found.
            peers.push(peer("fma avx2", 8, pool, || unsafe { x86::avx2(STEPS) }));
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature was found.
            peers.push(peer("fma avx512", 16, pool, || unsafe { x86::avx512(STEPS) }));
        }
    }
    peers
}

fn peer(name: &str, lanes: usize, pool: &Arc<ThreadPool>, each: fn() -> f32) -> Peer {
    let pool = Arc::clone(pool);
    let flops = 2.0 * f64::from(STEPS) * (SUMS * lanes * pool.current_num_threads()) as f64;
    Peer::new(name, move || -> Result<Vec<f32>> { Ok(pool.broadcast(|_| each())) })
        .with_flops(flops)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::SUMS;

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2(steps: u32) -> f32 {
        let half = _mm256_set1_ps(black_box(0.5));
        let mut sums: [__m256; SUMS] =
            std::array::from_fn(|at| _mm256_set1_ps(black_box(at as f32)));
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, half, half);
            }
        }
        sums.iter().map(|&sum| _mm256_cvtss_f32(sum)).sum()
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512(steps: u32) -> f32 {
        let half = _mm512_set1_ps(black_box(0.5));
        let mut sums: [__m512; SUMS] =
            std::array::from_fn(|at| _mm512_set1_ps(black_box(at as f32)));
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, half, half);
            }
        }
        sums.iter().map(|&sum| _mm512_cvtss_f32(sum)).sum()
    }
}
