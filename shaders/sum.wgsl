// Second pass: a document's score is the sum of its maxima over the query tokens.

const THREADS = 64u;

// [documents, query tokens], ordered().
@group(0) @binding(1) var<storage, read> maxima: array<u32>;
// [documents]
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;

var<workgroup> partial: array<f32, THREADS>;

@compute @workgroup_size(THREADS)
fn sum(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let document = item_index(workgroup);
    if document >= params.items {
        return;
    }
    var total = 0.0;
    for (var token = thread; token < params.query_tokens; token += THREADS) {
        total += unordered(maxima[document * params.query_tokens + token]);
    }
    partial[thread] = total;
    for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread < stride {
            partial[thread] += partial[thread + stride];
        }
    }
    if thread == 0u {
        scores[document] = partial[0];
    }
}
