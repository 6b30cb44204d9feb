// Multiplications of matrices in matrix units: four chains a subgroup.
enable f16;
enable wgpu_cooperative_matrix;

alias Left = coop_matTILExTILE<f16, A>;
alias Right = coop_matTILExTILE<f16, B>;
alias Sums = coop_matTILExTILE<f32, C>;

const STEPS = 512u;
const THREADS = 128u;

@group(0) @binding(0) var<storage, read_write> out: array<f32>;

var<workgroup> inputs: array<f16, TILE * TILE>;
var<workgroup> results: array<f32, TILE * TILE>;

@compute @workgroup_size(THREADS)
fn operations(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    for (var at = thread; at < TILE * TILE; at += THREADS) {
        inputs[at] = f16(f32(at) * 1e-3);
    }
    workgroupBarrier();
    let left = coopLoadT<Left>(&inputs[0], TILE);
    let right = coopLoad<Right>(&inputs[0], TILE);
    var a: Sums;
    var b: Sums;
    var c: Sums;
    var d: Sums;
    for (var step = 0u; step < STEPS; step++) {
        a = coopMultiplyAdd(left, right, a);
        b = coopMultiplyAdd(left, right, b);
        c = coopMultiplyAdd(left, right, c);
        d = coopMultiplyAdd(left, right, d);
    }
    // All subgroups write the same.
    coopStoreT(a + b + c + d, &results[0], TILE);
    workgroupBarrier();
    // Every result is asked for; none is NaN.
    if results[thread % (TILE * TILE)] >= 0.0 && thread == 0u {
        out[workgroup.x] = f32(2u * TILE * TILE * TILE * 4u * STEPS * subgroups);
    }
}
