// What the passes share: the parameters of a dispatch, the table of queries, and an order on f32
// that atomics know.

// Of one dispatch.
struct Params {
    // Quads in a row: the dimension, rounded up to a multiple of four columns.
    quads: u32,
    // Where its items start: in the table of segments in the first pass, in the scores in the second.
    first_item: u32,
    // How many there are: segments in the first pass, pairs in the second.
    items: u32,
    // Workgroups in x; items beyond it continue in y.
    fold_width: u32,
    // Entries in use of the table of queries.
    queries: u32,
    // In the first pass, what a workgroup takes: segments, and tiles of query tokens.
    group: u32,
    tiles: u32,
}

// Of one query, or of a part of a long one. A pair is a query and one of its candidates.
struct QuerySpan {
    // Its tokens in `query`, where queries follow one another.
    first_token: u32,
    tokens: u32,
    // Its first pair; its pairs go on to the next query's.
    first_pair: u32,
    // Where the maxima of its first pair start: `tokens` a pair.
    first_maximum: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// The number of a workgroup among those of a dispatch.
fn item_index(workgroup: vec3<u32>) -> u32 {
    return workgroup.y * params.fold_width + workgroup.x;
}

// A u32 whose order is that of the floats; 0 is below all of them.
fn ordered(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

fn unordered(bits: u32) -> f32 {
    return bitcast<f32>(select(~bits, bits & 0x7fffffffu, bits >= 0x80000000u));
}
