// MaxSim in matrix units. A subgroup takes a chunk: its block of query tokens stays in registers, and
// the rows of its documents go from storage straight into matrices. It needs no other subgroup.
//
// Products of rows (down) and query tokens (across) are maximised element by element in registers,
// over all tiles of rows of a document; so a document's products leave the registers once, as one tile
// of maxima, which is folded over its rows. Where the compiler has no words for that (`IN_REGISTERS`),
// each tile of products is folded.

// Query tokens of a block, and the distance between rows of its products, which lie in other banks.
const TOKENS = TILES * TILE;
const STRIDE = TOKENS + 8u;
// Columns that are summed up in one chain: no more, because equal numbers are all rounded the same
// way, and so the error of one long chain would grow with its length.
const CHAIN = 256u;
// Fragments of a block that stay: none where a row is longer than COLUMNS tiles.
const FRAGMENTS = COLUMNS * TILES;

@group(0) @binding(4) var<storage, read> query: array<f16>;
@group(0) @binding(5) var<storage, read_write> results: array<f32>;
@group(1) @binding(0) var<storage, read> rows: array<f16>;

// Of each subgroup: a tile of rows by the tokens of a block; and the maxima of the tokens.
var<workgroup> products: array<f32, SUBGROUPS * TILE * STRIDE>;
var<workgroup> maxima: array<f32, SUBGROUPS * TOKENS>;

struct Thread {
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(subgroup_size) lanes: u32,
}

// Raises each element of a tile of `best` to that of `other`. WGSL can't say it: `spirv.rs` gives this
// function its body.
fn raise_elements(
    best: ptr<function, array<Sums, TILES>>,
    other: ptr<function, array<Sums, TILES>>,
    tile: u32,
) {}

fn load_query(fragments: ptr<function, array<Right, FRAGMENTS>>, token: u32) {
    let first = token * params.query_octets * 8u;
    for (var column = 0u; column < COLUMNS; column++) {
        for (var tile = 0u; tile < TILES; tile++) {
            let at = first + tile * TILE * params.query_octets * 8u + column * TILE;
            (*fragments)[column * TILES + tile] = coopLoad<Right>(&query[at], params.query_octets * 8u);
        }
    }
}

// Adds the similarities of a tile of rows, whose query tokens are in registers.
fn multiply_held(
    sums: ptr<function, array<Sums, TILES>>,
    fragments: ptr<function, array<Right, FRAGMENTS>>,
    row: u32,
) {
    let first = row * params.row_octets * 8u;
    for (var column = 0u; column < COLUMNS; column++) {
        let left = coopLoadT<Left>(&rows[first + column * TILE], params.row_octets * 8u);
        for (var tile = 0u; tile < TILES; tile++) {
            (*sums)[tile] = coopMultiplyAdd(left, (*fragments)[column * TILES + tile], (*sums)[tile]);
        }
    }
}

// Adds the similarities of a tile of rows, chain by chain.
fn multiply_chains(sums: ptr<function, array<Sums, TILES>>, token: u32, row: u32) {
    let row_stride = params.row_octets * 8u;
    let query_stride = params.query_octets * 8u;
    for (var chain = 0u; chain < query_stride; chain += CHAIN) {
        var part: array<Sums, TILES>;
        let end = min(chain + CHAIN, query_stride);
        for (var column = chain; column < end; column += TILE) {
            let left = coopLoadT<Left>(&rows[row * row_stride + column], row_stride);
            for (var tile = 0u; tile < TILES; tile++) {
                let at = (token + tile * TILE) * query_stride + column;
                let right = coopLoad<Right>(&query[at], query_stride);
                part[tile] = coopMultiplyAdd(left, right, part[tile]);
            }
        }
        for (var tile = 0u; tile < TILES; tile++) {
            (*sums)[tile] = (*sums)[tile] + part[tile];
        }
    }
}

// Raises the maxima of the tokens by `valid` rows of a tile of products.
fn fold(thread: Thread, sums: ptr<function, array<Sums, TILES>>, valid: u32) {
    let corner = thread.subgroup * TILE * STRIDE;
    for (var tile = 0u; tile < TILES; tile++) {
        coopStoreT((*sums)[tile], &products[corner + tile * TILE], STRIDE);
    }
    subgroupBarrier();
    for (var token = thread.lane; token < TOKENS; token += thread.lanes) {
        let cell = thread.subgroup * TOKENS + token;
        var best = maxima[cell];
        for (var row = 0u; row < valid; row++) {
            best = max(best, products[corner + row * STRIDE + token]);
        }
        maxima[cell] = best;
    }
    subgroupBarrier();
}

// Writes what a task gives: its score, or its maxima; and forgets them.
fn finish(thread: Thread, run: Run, block: TokenBlock, task: Task) {
    if run.cells == 0u {
        let score = score_of(thread.subgroup, block.tokens);
        if thread.lane == 0u {
            results[task.result] = score;
        }
    }
    for (var token = thread.lane; token < TOKENS; token += thread.lanes) {
        let best = maxima[thread.subgroup * TOKENS + token];
        if run.cells > 0u && token < block.tokens {
            results[task.result + token] = best;
        }
    }
    subgroupBarrier();
}

fn reset(thread: Thread) {
    for (var token = thread.lane; token < TOKENS; token += thread.lanes) {
        maxima[thread.subgroup * TOKENS + token] = LOWEST;
    }
}

@compute @workgroup_size(THREADS)
fn maxsim(@builtin(workgroup_id) workgroup: vec3<u32>, thread: Thread) {
    let chunk = params.first_unit + workgroup_index(workgroup) * thread.subgroups + thread.subgroup;
    if chunk >= params.end_unit {
        return;
    }
    let run = run_of(chunk);
    let block = block_of(run, chunk);
    let tasks = tasks_of(run, chunk);
    var fragments: array<Right, FRAGMENTS>;
    load_query(&fragments, block.first_token);
    for (var at = tasks.x; at < tasks.y; at++) {
        let task = task_of(run, block, at);
        reset(thread);
        // The last tile is moved back so that it ends with the rows: a row taken twice changes no
        // maximum. Of fewer rows than a tile, those beyond are not looked at.
        let last = max(task.rows, TILE) - TILE;
        let valid = min(task.rows, TILE);
        var best: array<Sums, TILES>;
        for (var row = 0u; row < task.rows; row += TILE) {
            let first = task.first_row + min(row, last);
            var sums: array<Sums, TILES>;
            if HELD {
                multiply_held(&sums, &fragments, first);
            } else {
                multiply_chains(&sums, block.first_token, first);
            }
            if !IN_REGISTERS {
                fold(thread, &sums, valid);
            } else if row == 0u {
                best = sums;
            } else {
                for (var tile = 0u; tile < TILES; tile++) {
                    raise_elements(&best, &sums, tile);
                }
            }
        }
        if IN_REGISTERS {
            fold(thread, &best, valid);
        }
        finish(thread, run, block, task);
    }
}
