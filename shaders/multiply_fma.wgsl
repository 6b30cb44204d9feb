// Multiplication by fused multiply-adds: a thread keeps the sums of 4 × 4 pairs of tokens in
// registers.

const QUERIES_PER_THREAD = 4u;
const ROWS_PER_THREAD = 4u;
// Threads that share query tokens, each with rows of its own. There are QUERIES / 4 times as many.
override LANES: u32 = ROWS / ROWS_PER_THREAD;
// Tiles are column-major, one quad more than a column is long, so that writing one row's quads meets
// different banks of workgroup memory.
override QUERY_STRIDE: u32 = QUERIES + 1u;
override ROW_STRIDE: u32 = ROWS + 1u;
// Products are row-major, four query tokens a vector, in the place of the rows.
override PRODUCT_STRIDE: u32 = QUERIES / QUERIES_PER_THREAD + 1u;
// Lengths of arrays: naga panics over some that are expressions.
override QUERY_CELLS: u32 = HELD * QUERY_STRIDE;
override ROW_CELLS: u32 = max(DEPTH * ROW_STRIDE, ROWS * PRODUCT_STRIDE);

struct Thread {
    @builtin(local_invocation_index) index: u32,
}

var<workgroup> query_tile: array<vec4<f32>, QUERY_CELLS>;
var<workgroup> row_tile: array<vec4<f32>, ROW_CELLS>;

fn similarity(row: u32, query: u32) -> f32 {
    let products = row_tile[row * PRODUCT_STRIDE + query / QUERIES_PER_THREAD];
    return products[query % QUERIES_PER_THREAD];
}

// Stages `depth` quads of the query tokens, from `quad` on.
fn stage_query(thread: u32, tokens: QueryTile, quad: u32, depth: u32) {
    for (var at = thread; at < QUERIES * depth; at += THREADS) {
        let value = query[query_source(tokens, at / depth) + quad + at % depth];
        query_tile[at % depth * QUERY_STRIDE + at / depth] = widen(value);
    }
}

fn stage_rows(thread: u32, quad: u32, depth: u32) {
    for (var at = thread; at < ROWS * DEPTH; at += THREADS) {
        let column = at % DEPTH;
        if column < depth {
            let value = rows[sources[at / DEPTH] + quad + column];
            row_tile[column * ROW_STRIDE + at / DEPTH] = widen(value);
        }
    }
}

fn multiply(thread_in: Thread, tokens: QueryTile, new_rows: bool, new_query: bool) {
    let thread = thread_in.index;
    let my_queries = thread / LANES * QUERIES_PER_THREAD;
    let my_row = thread % LANES;
    let held = params.quads <= HELD;
    workgroupBarrier();
    if held && new_query {
        stage_query(thread, tokens, 0u, params.quads);
    }
    // One vector a row, one component a query token.
    var sums = array<vec4<f32>, ROWS_PER_THREAD>();
    for (var quad = 0u; quad < params.quads; quad += DEPTH) {
        let depth = min(DEPTH, params.quads - quad);
        workgroupBarrier();
        if !held {
            stage_query(thread, tokens, quad, depth);
        }
        stage_rows(thread, quad, depth);
        workgroupBarrier();
        // A sum of its own for each block: equal numbers are all rounded the same way, and so the
        // error of one long chain of additions would grow with its length.
        var block = array<vec4<f32>, ROWS_PER_THREAD>();
        let first = select(0u, quad, held);
        for (var column = 0u; column < depth; column++) {
            let at = (first + column) * QUERY_STRIDE + my_queries;
            let q0 = query_tile[at];
            let q1 = query_tile[at + 1u];
            let q2 = query_tile[at + 2u];
            let q3 = query_tile[at + 3u];
            for (var r = 0u; r < ROWS_PER_THREAD; r++) {
                let row = row_tile[column * ROW_STRIDE + my_row + r * LANES];
                block[r] += vec4(dot(q0, row), dot(q1, row), dot(q2, row), dot(q3, row));
            }
        }
        for (var r = 0u; r < ROWS_PER_THREAD; r++) {
            sums[r] += block[r];
        }
    }
    workgroupBarrier();
    for (var r = 0u; r < ROWS_PER_THREAD; r++) {
        let at = (my_row + r * LANES) * PRODUCT_STRIDE + my_queries / QUERIES_PER_THREAD;
        row_tile[at] = sums[r];
    }
    workgroupBarrier();
}
