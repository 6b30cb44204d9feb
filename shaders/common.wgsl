// What both passes share: the parameters of a dispatch, and an order on f32 that atomics know.

struct Params {
    // Quads in a row: the dimension, rounded up to a multiple of four columns.
    quads: u32,
    // Tokens of the query.
    query_tokens: u32,
    // Workgroups wanted: segments in the first pass, documents in the second.
    items: u32,
    // Workgroups in x; items beyond it continue in y.
    fold_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

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
