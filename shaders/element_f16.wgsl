// Element: native f16. Needs the adapter's SHADER_F16.
enable f16;

// Four neighbouring columns of a row.
alias Quad = vec4<f16>;

fn widen(quad: Quad) -> vec4<f32> {
    return vec4<f32>(quad);
}
