// Reduction: through workgroup memory alone, on any adapter.

struct Thread {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> folded: array<vec4<f32>, THREADS>;

fn thread_index(thread: Thread) -> u32 {
    return thread.index;
}

// Folds the maxima of the LANES threads that share query tokens.
fn fold(thread: Thread, best: vec4<f32>) {
    folded[thread.index] = best;
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread.index % LANES < stride {
            folded[thread.index] = max(folded[thread.index], folded[thread.index + stride]);
        }
    }
    workgroupBarrier();
}

// The maximum of one query token of the tile, after fold().
fn folded_maximum(query: u32) -> f32 {
    return folded[query / QUERIES_PER_THREAD * LANES][query % QUERIES_PER_THREAD];
}
