// Element: two f16 packed in a u32, for adapters without f16 arithmetic.

// Four neighbouring columns of a row.
alias Quad = vec2<u32>;

fn widen(quad: Quad) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(quad.x), unpack2x16float(quad.y));
}
