// Reads a buffer once, in vectors of sixteen bytes. Its words are their own numbers.

const THREADS = 256u;

@group(0) @binding(0) var<storage, read> input: array<vec4<u32>>;
// A sum a thread.
@group(0) @binding(1) var<storage, read_write> output: array<u32>;

@compute @workgroup_size(THREADS)
fn measure(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = workgroup.x * THREADS + thread;
    let step = workgroups.x * THREADS;
    let count = arrayLength(&input);
    var sum = vec4<u32>();
    for (var at = first; at < count; at += step) {
        sum += input[at];
    }
    output[first] = sum.x + sum.y + sum.z + sum.w;
}
