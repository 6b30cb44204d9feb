// Multiplication by matrix units, f16 in, f32 accumulated: a subgroup multiplies UNIT_ROWS ×
// UNIT_QUERIES tiles at a time. What is in a matrix can't be reduced in registers, so products go to
// workgroup memory.

// Tiles that a subgroup multiplies at a time: each that it loads is used UNIT_ROWS or UNIT_QUERIES
// times. Constants, because the length of a function's array has to be one.
const UNIT_ROWS = 2u;
const UNIT_QUERIES = 2u;
const QUADS_PER_TILE = TILE / 4u;
// Tiles are row-major. What rows are longer than they need be is there so that the rows of a matrix
// lie in different banks of workgroup memory; it keeps them aligned to 16 bytes.
override QUERY_STRIDE: u32 = HELD + 2u;
override ROW_STRIDE: u32 = DEPTH + 2u;
override PRODUCT_STRIDE: u32 = QUERIES + 8u;
override UNITS_ACROSS: u32 = QUERIES / (UNIT_QUERIES * TILE);
override UNITS: u32 = UNITS_ACROSS * ROWS / (UNIT_ROWS * TILE);
// Lengths of arrays: naga panics over one that is an expression.
override QUERY_CELLS: u32 = CELLS * QUERIES * QUERY_STRIDE;
override ROW_CELLS: u32 = CELLS * ROWS * ROW_STRIDE;
override PRODUCTS: u32 = ROWS * PRODUCT_STRIDE;

struct Thread {
    @builtin(local_invocation_index) index: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
}

var<workgroup> query_tile: array<Cell, QUERY_CELLS>;
var<workgroup> row_tile: array<Cell, ROW_CELLS>;
var<workgroup> products: array<f32, PRODUCTS>;

fn similarity(row: u32, query: u32) -> f32 {
    return products[row * PRODUCT_STRIDE + query];
}

// Stages `depth` quads of the query tokens, from `quad` on, and zeros up to whole matrices.
fn stage_query(thread: u32, tokens: QueryTile, quad: u32, depth: u32) {
    let padded = matrices(depth) * QUADS_PER_TILE;
    for (var at = thread; at < QUERIES * padded; at += THREADS) {
        let column = at % padded;
        let source = query_source(tokens, at / padded) + quad + min(column, depth - 1u);
        keep_query(at / padded * QUERY_STRIDE + column, zero_past(query[source], column, depth));
    }
}

// Eight quads a turn, whose loads are under way together.
fn stage_rows(thread: u32, quad: u32, depth: u32) {
    for (var at = thread; at < ROWS * DEPTH; at += 8u * THREADS) {
        let a = row_quad(at, quad, depth);
        let b = row_quad(at + THREADS, quad, depth);
        let c = row_quad(at + 2u * THREADS, quad, depth);
        let d = row_quad(at + 3u * THREADS, quad, depth);
        let e = row_quad(at + 4u * THREADS, quad, depth);
        let f = row_quad(at + 5u * THREADS, quad, depth);
        let g = row_quad(at + 6u * THREADS, quad, depth);
        let h = row_quad(at + 7u * THREADS, quad, depth);
        keep_row(row_place(at), a);
        keep_row(row_place(at + THREADS), b);
        keep_row(row_place(at + 2u * THREADS), c);
        keep_row(row_place(at + 3u * THREADS), d);
        keep_row(row_place(at + 4u * THREADS), e);
        keep_row(row_place(at + 5u * THREADS), f);
        keep_row(row_place(at + 6u * THREADS), g);
        keep_row(row_place(at + 7u * THREADS), h);
    }
}

fn row_quad(at: u32, quad: u32, depth: u32) -> Quad {
    let column = at % DEPTH;
    let value = rows[sources[at / DEPTH] + quad + min(column, depth - 1u)];
    return zero_past(value, column, depth);
}

fn row_place(at: u32) -> u32 {
    return at / DEPTH * ROW_STRIDE + at % DEPTH;
}

// Zero columns add nothing to a product.
fn zero_past(quad: Quad, column: u32, depth: u32) -> Quad {
    return select(Quad(), quad, vec4(column < depth));
}

// Matrices that `depth` quads of columns fill, the last one in part perhaps.
fn matrices(depth: u32) -> u32 {
    return (depth + QUADS_PER_TILE - 1u) / QUADS_PER_TILE;
}

// The products of a unit over a block of columns, added to those of `earlier` quads. Each block has a sum of its own: equal numbers are
// all rounded the same way, and so the error of one long chain of additions would grow with its
// length.
fn multiply_unit(unit: u32, query_quad: u32, depth: u32, earlier: u32) {
    let first_row = unit / UNITS_ACROSS * UNIT_ROWS * TILE;
    let first_query = unit % UNITS_ACROSS * UNIT_QUERIES * TILE;
    var sums: array<Sums, UNIT_ROWS * UNIT_QUERIES>;
    for (var step = 0u; step < matrices(depth); step++) {
        var left: array<Left, UNIT_ROWS>;
        for (var r = 0u; r < UNIT_ROWS; r++) {
            let at = (first_row + r * TILE) * ROW_STRIDE + step * QUADS_PER_TILE;
            left[r] = coopLoadT<Left>(&row_tile[CELLS * at], CELLS * ROW_STRIDE);
        }
        for (var q = 0u; q < UNIT_QUERIES; q++) {
            let column = query_quad + step * QUADS_PER_TILE;
            let at = (first_query + q * TILE) * QUERY_STRIDE + column;
            let right = coopLoad<Right>(&query_tile[CELLS * at], CELLS * QUERY_STRIDE);
            for (var r = 0u; r < UNIT_ROWS; r++) {
                let sum = r * UNIT_QUERIES + q;
                sums[sum] = coopMultiplyAdd(left[r], right, sums[sum]);
            }
        }
    }
    for (var r = 0u; r < UNIT_ROWS; r++) {
        for (var q = 0u; q < UNIT_QUERIES; q++) {
            let at = (first_row + r * TILE) * PRODUCT_STRIDE + first_query + q * TILE;
            var sum = sums[r * UNIT_QUERIES + q];
            // What an `if` would do; but naga takes every parameter for one that may differ within a
            // subgroup, and refuses a condition on it.
            for (var block = earlier; block > 0u; block = 0u) {
                sum = sum + coopLoadT<Sums>(&products[at], PRODUCT_STRIDE);
            }
            coopStoreT(sum, &products[at], PRODUCT_STRIDE);
        }
    }
}

fn multiply(thread: Thread, tokens: QueryTile, new_rows: bool, new_query: bool) {
    let held = params.quads <= HELD;
    workgroupBarrier();
    if held && new_query {
        stage_query(thread.index, tokens, 0u, params.quads);
    }
    for (var quad = 0u; quad < params.quads; quad += DEPTH) {
        let depth = min(DEPTH, params.quads - quad);
        workgroupBarrier();
        if !held {
            stage_query(thread.index, tokens, quad, depth);
        }
        // A row that fits is still there from the last tile of query tokens.
        if new_rows || params.quads > DEPTH {
            stage_rows(thread.index, quad, depth);
        }
        workgroupBarrier();
        for (var unit = thread.subgroup; unit < UNITS; unit += thread.subgroups) {
            multiply_unit(unit, select(0u, quad, held), depth, quad);
        }
    }
    workgroupBarrier();
}
