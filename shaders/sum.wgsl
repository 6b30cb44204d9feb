// Second pass: the score of a pair is the sum of its maxima over the query tokens.

const THREADS = 64u;

@group(0) @binding(1) var<storage, read> spans: array<QuerySpan>;
// ordered(); a run for each pair.
@group(0) @binding(2) var<storage, read> maxima: array<u32>;
// Cleared before the first part of a query; later parts add.
@group(0) @binding(3) var<storage, read_write> scores: array<f32>;

var<workgroup> partial: array<f32, THREADS>;

// The query of a pair: the last one that doesn't start after it.
fn span_of(pair: u32) -> QuerySpan {
    var low = 0u;
    var high = params.queries;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if spans[middle].first_pair <= pair {
            low = middle;
        } else {
            high = middle;
        }
    }
    return spans[low];
}

@compute @workgroup_size(THREADS)
fn sum(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let pair = item_index(workgroup);
    if pair >= params.items {
        return;
    }
    let span = span_of(pair);
    let first = span.first_maximum + (pair - span.first_pair) * span.tokens;
    var total = 0.0;
    for (var token = thread; token < span.tokens; token += THREADS) {
        total += unordered(maxima[first + token]);
    }
    partial[thread] = total;
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread < stride {
            partial[thread] += partial[thread + stride];
        }
    }
    if thread == 0u {
        scores[params.first_item + pair] += partial[0];
    }
}
