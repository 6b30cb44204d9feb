// Fused multiply-adds in f32: eight chains of four a thread. Where they start, and what they multiply by
// and add, comes from a buffer, so that no compiler knows the results.

const STEPS = 512u;
const THREADS = 256u;
const CHAINS = 8u;

// Starts of the chains; then a factor, which is 1, and a summand, which is 1.
@group(0) @binding(0) var<storage, read> input: array<vec4<f32>>;
// A sum a thread.
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(THREADS)
fn measure(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let factor = input[CHAINS];
    let summand = input[CHAINS + 1u];
    var a = input[0];
    var b = input[1];
    var c = input[2];
    var d = input[3];
    var e = input[4];
    var f = input[5];
    var g = input[6];
    var h = input[7];
    for (var step = 0u; step < STEPS; step++) {
        a = fma(a, factor, summand);
        b = fma(b, factor, summand);
        c = fma(c, factor, summand);
        d = fma(d, factor, summand);
        e = fma(e, factor, summand);
        f = fma(f, factor, summand);
        g = fma(g, factor, summand);
        h = fma(h, factor, summand);
    }
    let all = a + b + c + d + e + f + g + h;
    output[workgroup.x * THREADS + thread] = all.x + all.y + all.z + all.w;
}
