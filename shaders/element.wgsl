// Two f16 packed in a u32: what every adapter can read, with f16 arithmetic or without.

fn widen(pair: u32) -> vec2<f32> {
    return unpack2x16float(pair);
}
