//! Products and distances of dense vectors, in lanes.

use super::lanes::FloatLanes;

/// Independent sums, so that the additions of one need not wait for those of another.
const CHAINS: usize = 4;

#[inline(always)]
pub(super) fn dot_lanes<L: FloatLanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    reduce(lanes, a, b, |x, y, sum| lanes.mul_add(x, y, sum), |x, y| x * y)
}

#[inline(always)]
pub(super) fn squared_distance_lanes<L: FloatLanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    let step = |x, y, sum| {
        let difference = lanes.sub(x, y);
        lanes.mul_add(difference, difference, sum)
    };
    reduce(lanes, a, b, step, |x, y| (x - y) * (x - y))
}

#[inline(always)]
pub(super) fn absolute_distance_lanes<L: FloatLanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    let step = |x, y, sum| lanes.add(sum, lanes.max(lanes.sub(x, y), lanes.sub(y, x)));
    reduce(lanes, a, b, step, |x, y| (x - y).abs())
}

/// Sums a term over both vectors: `step` adds a register of terms, `term` gives one of the rest.
#[inline(always)]
fn reduce<L: FloatLanes>(
    lanes: L,
    a: &[f32],
    b: &[f32],
    step: impl Fn(L::Register, L::Register, L::Register) -> L::Register,
    term: impl Fn(f32, f32) -> f32,
) -> f32 {
    let len = a.len().min(b.len());
    let registers = len / L::WIDTH;
    let add = |register: usize, sum| {
        // SAFETY: register < len / WIDTH, so WIDTH values from register · WIDTH are inside both.
        let (x, y) = unsafe {
            let at = register * L::WIDTH;
            (lanes.load(a.as_ptr().add(at)), lanes.load(b.as_ptr().add(at)))
        };
        step(x, y, sum)
    };
    // Chains go by constants, or the compiler would keep them in memory.
    let mut sums = [lanes.splat(0.0); CHAINS];
    let whole = registers - registers % CHAINS;
    for register in (0..whole).step_by(CHAINS) {
        for (chain, sum) in sums.iter_mut().enumerate() {
            *sum = add(register + chain, *sum);
        }
    }
    for (chain, sum) in sums.iter_mut().enumerate() {
        if whole + chain < registers {
            *sum = add(whole + chain, *sum);
        }
    }
    let rest = registers * L::WIDTH..len;
    let rest: f32 = rest.map(|at| term(a[at], b[at])).sum();
    let [a, b, c, d] = lanes.sums(sums);
    (a + b) + (c + d) + rest
}
