// Reduction: by shuffles inside a subgroup, and through workgroup memory between subgroups.

struct Thread {
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) size: u32,
    @builtin(subgroup_invocation_id) invocation: u32,
}

var<workgroup> folded: array<vec4<f32>, THREADS>;
var<workgroup> folded_width: u32;

// Counted along subgroups, so that neighbours can shuffle, however the adapter numbers the threads
// of a workgroup.
fn thread_index(thread: Thread) -> u32 {
    return thread.subgroup * thread.size + thread.invocation;
}

// Folds the maxima of the LANES threads that share query tokens: all of them where a subgroup is
// that wide, else as many as it holds.
fn fold(thread: Thread, best: vec4<f32>) {
    let width = min(thread.size, LANES);
    var maxima = best;
    for (var stride = 1u; stride < width; stride *= 2u) {
        maxima = max(maxima, subgroupShuffleXor(maxima, stride));
    }
    let index = thread_index(thread);
    if index % width == 0u {
        folded[index / width] = maxima;
    }
    if index == 0u {
        folded_width = width;
    }
    workgroupBarrier();
}

// The maximum of one query token of the tile, after fold().
fn folded_maximum(query: u32) -> f32 {
    let parts = LANES / folded_width;
    let first = query / QUERIES_PER_THREAD * parts;
    var maximum = folded[first][query % QUERIES_PER_THREAD];
    for (var part = 1u; part < parts; part++) {
        maximum = max(maximum, folded[first + part][query % QUERIES_PER_THREAD]);
    }
    return maximum;
}
