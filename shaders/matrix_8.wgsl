// Matrix units that multiply 8 × 8 tiles: Apple's, and llvmpipe's imitation.

const TILE = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;

// What tiles are made of in workgroup memory, and how many of it a quad is. Metal loads matrices
// from scalars alone.
alias Cell = f16;
const CELLS = 4u;

fn keep_query(at: u32, quad: Quad) {
    query_tile[4u * at] = quad.x;
    query_tile[4u * at + 1u] = quad.y;
    query_tile[4u * at + 2u] = quad.z;
    query_tile[4u * at + 3u] = quad.w;
}

fn keep_row(at: u32, quad: Quad) {
    row_tile[4u * at] = quad.x;
    row_tile[4u * at + 1u] = quad.y;
    row_tile[4u * at + 2u] = quad.z;
    row_tile[4u * at + 3u] = quad.w;
}
