// Matrix units that multiply 16 × 16 tiles: NVIDIA's, AMD's.

const TILE = 16u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

// What tiles are made of in workgroup memory, and how many of it a quad is.
alias Cell = vec4<f16>;
const CELLS = 1u;

fn keep_query(at: u32, quad: Quad) {
    query_tile[at] = quad;
}

fn keep_row(at: u32, quad: Quad) {
    row_tile[at] = quad;
}
