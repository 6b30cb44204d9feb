// Multiplications of matrices in matrix units: four chains a subgroup. Matrices come from a buffer, so that
// no compiler knows the results.
enable f16;
enable wgpu_cooperative_matrix;

alias Left = coop_matTILExTILE<f16, A>;
alias Right = coop_matTILExTILE<f16, B>;
alias Sums = coop_matTILExTILE<f32, C>;

const STEPS = 512u;
const THREADS = 128u;
const CELLS = TILE * TILE;

// Ones: two matrices that are multiplied.
@group(0) @binding(0) var<storage, read> input: array<f16>;
// A matrix a workgroup, written by all of its subgroups alike; and how many they are.
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(THREADS)
fn measure(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(num_subgroups) subgroups: u32,
) {
    let left = coopLoadT<Left>(&input[0], TILE);
    // Matrices of their own, which only happen to be alike.
    let p = coopLoad<Right>(&input[CELLS], TILE);
    let q = coopLoad<Right>(&input[2u * CELLS], TILE);
    let r = coopLoad<Right>(&input[3u * CELLS], TILE);
    let s = coopLoad<Right>(&input[4u * CELLS], TILE);
    var a: Sums;
    var b: Sums;
    var c: Sums;
    var d: Sums;
    for (var step = 0u; step < STEPS; step++) {
        a = coopMultiplyAdd(left, p, a);
        b = coopMultiplyAdd(left, q, b);
        c = coopMultiplyAdd(left, r, c);
        d = coopMultiplyAdd(left, s, d);
    }
    let first = workgroup.x * (CELLS + 4u);
    coopStoreT(a + b + c + d, &output[first], TILE);
    if thread == 0u {
        output[first + CELLS] = f32(subgroups);
    }
}
