// Fused multiply-adds in f32: eight chains of four a thread.

const STEPS = 512u;
const THREADS = 256u;

@group(0) @binding(0) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(THREADS)
fn operations(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let x = vec4<f32>(f32(thread)) * 1e-3;
    var a = x;
    var b = x + 1.0;
    var c = x + 2.0;
    var d = x + 3.0;
    var e = x + 4.0;
    var f = x + 5.0;
    var g = x + 6.0;
    var h = x + 7.0;
    for (var step = 0u; step < STEPS; step++) {
        a = fma(a, x, x);
        b = fma(b, x, x);
        c = fma(c, x, x);
        d = fma(d, x, x);
        e = fma(e, x, x);
        f = fma(f, x, x);
        g = fma(g, x, x);
        h = fma(h, x, x);
    }
    let all = a + b + c + d + e + f + g + h;
    // Every result is asked for; none is NaN.
    if dot(all, all) >= 0.0 && thread == 0u {
        out[workgroup.x] = f32(2u * 4u * 8u * STEPS * THREADS);
    }
}
