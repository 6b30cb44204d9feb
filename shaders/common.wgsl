// Parameters of a dispatch: for every pass.

struct Params {
    // Octets of a row of a document: its columns, rounded up to whole octets of eight f16.
    row_octets: u32,
    // Octets of a query token.
    query_octets: u32,
    // The first entry of the kernel's table, and how many there are.
    first_entry: u32,
    entries: u32,
    // Units of work of the dispatch: the first, and the end.
    first_unit: u32,
    end_unit: u32,
    // Workgroups in x; those beyond continue in y.
    fold_width: u32,
    // Units that a workgroup takes, where that differs from dispatch to dispatch.
    units_of_workgroup: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// The number of a workgroup among those of its dispatch.
fn workgroup_index(workgroup: vec3<u32>) -> u32 {
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
