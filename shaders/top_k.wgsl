// The best of each block of scores, in order. It is repeated over what it wrote, until one block is left
// for each query.

const BLOCK = 2048u;
const THREADS = 256u;

// Neighbouring entries of one query, at most BLOCK of them.
struct Block {
    first: u32,
    count: u32,
    // Where the best `keep` of them go; at most `count`.
    first_out: u32,
    keep: u32,
}

// The place of a score, and the score, ordered().
struct Entry {
    score: u32,
    pair: u32,
}

@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> scores: array<f32>;
@group(0) @binding(3) var<storage, read> entries: array<Entry>;
@group(0) @binding(4) var<storage, read_write> best: array<Entry>;

var<workgroup> sorted_scores: array<u32, BLOCK>;
var<workgroup> sorted_pairs: array<u32, BLOCK>;

// Score descending, then pair ascending: a total order.
fn belongs_before(a: u32, b: u32) -> bool {
    if sorted_scores[a] == sorted_scores[b] {
        return sorted_pairs[a] < sorted_pairs[b];
    }
    return sorted_scores[a] > sorted_scores[b];
}

fn put(at: u32, entry: Entry) {
    sorted_scores[at] = entry.score;
    sorted_pairs[at] = entry.pair;
}

// A bitonic sort (Batcher 1968) of the first `width` entries, a power of two.
fn sort(thread: u32, width: u32) {
    for (var size = 2u; size <= width; size *= 2u) {
        for (var stride = size / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            for (var at = thread; at < width / 2u; at += THREADS) {
                let low = at / stride * stride * 2u + at % stride;
                let high = low + stride;
                let descending = (low & size) == 0u;
                if belongs_before(high, low) == descending {
                    let moved = Entry(sorted_scores[low], sorted_pairs[low]);
                    put(low, Entry(sorted_scores[high], sorted_pairs[high]));
                    put(high, moved);
                }
            }
        }
    }
    workgroupBarrier();
}

// The least power of two that is not below `count`, which is not 0.
fn power_of_two(count: u32) -> u32 {
    return 1u << (32u - countLeadingZeros(count - 1u));
}

fn write(thread: u32, block: Block) {
    for (var at = thread; at < block.keep; at += THREADS) {
        best[block.first_out + at] = Entry(sorted_scores[at], sorted_pairs[at]);
    }
}

// Of scores.
@compute @workgroup_size(THREADS)
fn top_k_of_scores(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = params.first_unit + workgroup_index(workgroup);
    if item >= params.end_unit {
        return;
    }
    let block = blocks[item];
    let width = power_of_two(block.count);
    for (var at = thread; at < width; at += THREADS) {
        // Filled up with what is worse than any score.
        var entry = Entry(0u, 0xffffffffu);
        if at < block.count {
            entry = Entry(ordered(scores[block.first + at]), block.first + at);
        }
        put(at, entry);
    }
    sort(thread, width);
    write(thread, block);
}

// Of entries.
@compute @workgroup_size(THREADS)
fn top_k_of_entries(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = params.first_unit + workgroup_index(workgroup);
    if item >= params.end_unit {
        return;
    }
    let block = blocks[item];
    let width = power_of_two(block.count);
    for (var at = thread; at < width; at += THREADS) {
        var entry = Entry(0u, 0xffffffffu);
        if at < block.count {
            entry = entries[block.first + at];
        }
        put(at, entry);
    }
    sort(thread, width);
    write(thread, block);
}
