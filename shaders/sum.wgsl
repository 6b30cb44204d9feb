// Sums: the score of a pair, a query and one of its candidates, from the maxima that tasks left; where a
// document was divided, or a query.

const THREADS = 64u;
// Query tokens that a thread sums up in one go, as a kernel does with the tokens of a block.
const RUN = 64u;

// Neighbouring pairs of one query.
struct Sum {
    // Counted in the dispatch.
    first_pair: u32,
    // Where the scores of the pairs start, one after the other.
    first_score: u32,
    // Where the maxima of the first pair start; from those of one part to the next's; parts of a pair.
    first_cell: u32,
    cells: u32,
    parts: u32,
    // Tokens of the query.
    tokens: u32,
}

@group(0) @binding(1) var<storage, read> sums: array<Sum>;
@group(0) @binding(2) var<storage, read_write> results: array<f32>;

var<workgroup> partial: array<f32, THREADS>;

// The sum of a pair: the last one that doesn't start after it.
fn sum_of(pair: u32) -> Sum {
    var low = params.first_entry;
    var high = low + params.entries;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if sums[middle].first_pair <= pair {
            low = middle;
        } else {
            high = middle;
        }
    }
    return sums[low];
}

// The maximum of a query token over the parts of a pair; 0 past the last token.
fn maximum(sum: Sum, first: u32, token: u32) -> f32 {
    if token >= sum.tokens {
        return 0.0;
    }
    var best = results[first + token];
    for (var part = 1u; part < sum.parts; part++) {
        best = max(best, results[first + part * sum.cells + token]);
    }
    return best;
}

// Four chains side by side: the same order wherever a query's score is summed up.
fn run_of_tokens(sum: Sum, first: u32, token: u32) -> f32 {
    var four = vec4<f32>();
    for (var at = token; at < min(token + RUN, sum.tokens); at += 4u) {
        four += vec4(
            maximum(sum, first, at),
            maximum(sum, first, at + 1u),
            maximum(sum, first, at + 2u),
            maximum(sum, first, at + 3u),
        );
    }
    return (four.x + four.y) + (four.z + four.w);
}

// A pair of a short query has a thread, one of a long query all threads of a workgroup.
@compute @workgroup_size(THREADS)
fn sum(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let sharing = THREADS / params.units_of_workgroup;
    let first_pair = workgroup_index(workgroup) * params.units_of_workgroup;
    let pair = params.first_unit + first_pair + thread / sharing;
    let sum = sum_of(min(pair, params.end_unit - 1u));
    let first = sum.first_cell + (pair - sum.first_pair) * sum.parts * sum.cells;
    var total = 0.0;
    if pair < params.end_unit {
        for (var token = thread % sharing * RUN; token < sum.tokens; token += sharing * RUN) {
            total += run_of_tokens(sum, first, token);
        }
    }
    partial[thread] = total;
    // Of one pair, if threads share one.
    for (var stride = sharing / 2u; stride > 0u; stride /= 2u) {
        workgroupBarrier();
        if thread < stride {
            partial[thread] += partial[thread + stride];
        }
    }
    if pair < params.end_unit && thread % sharing == 0u {
        results[sum.first_score + pair - sum.first_pair] = partial[thread];
    }
}
