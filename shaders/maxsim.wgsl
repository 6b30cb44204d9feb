// First pass: the maximum similarity of every query token over the document tokens of a pair. One
// dispatch serves many queries, each with candidates of its own.
//
// A workgroup takes some neighbouring segments and walks over their rows in tiles of ROWS, each of
// one query: short documents share a tile, long ones have several workgroups. A tile of rows is
// multiplied with all tiles of QUERIES query tokens in turn, so that it is read from memory once.
// How, is the business of the piece before this one: it leaves the products in workgroup memory,
// where `similarity` finds them.

// Neighbouring rows of one candidate of one query; a candidate may have several segments.
struct Segment {
    // In the page that is bound.
    first_row: u32,
    rows: u32,
    // In the table of queries.
    query: u32,
    // Where the maxima of the pair start: one for each token of the query.
    first_maximum: u32,
}

// What the rows of a tile have in common.
struct Tile {
    query: u32,
    rows: u32,
}

// A maximum that is not written yet: where it belongs, and what it is.
struct Best {
    cell: u32,
    similarity: f32,
}

// Segments of a workgroup at most: GROUP in `tuning.rs`.
const GROUP = 64u;
const NOWHERE = 0xffffffffu;
// The lowest f32. f16 inputs can't reach it, so no similarity is below.
const LOWEST = -0x1.fffffep+127f;

@group(0) @binding(1) var<storage, read> query: array<Quad>;
@group(0) @binding(2) var<storage, read> spans: array<QuerySpan>;
@group(0) @binding(3) var<storage, read> segments: array<Segment>;
// ordered(); a run for each pair.
@group(0) @binding(4) var<storage, read_write> maxima: array<atomic<u32>>;
// The page.
@group(1) @binding(0) var<storage, read> rows: array<Quad>;

// The workgroup's segments; the rows up to the end of each, and up to the last one of its query.
var<workgroup> group: array<Segment, GROUP>;
var<workgroup> ends: array<u32, GROUP>;
var<workgroup> query_ends: array<u32, GROUP>;

// The tile, the first quad of each of its rows, and where the maxima of the row's pair start.
var<workgroup> tile: Tile;
var<workgroup> sources: array<u32, ROWS>;
var<workgroup> pairs: array<u32, ROWS>;

fn gather(thread: u32, first: u32, count: u32) {
    if thread < count {
        group[thread] = segments[first + thread];
    }
    workgroupBarrier();
    if thread < count {
        var end = 0u;
        for (var at = 0u; at <= thread; at++) {
            end += group[at].rows;
        }
        ends[thread] = end;
    }
    workgroupBarrier();
    if thread < count {
        var last = thread;
        while last + 1u < count && group[last + 1u].query == group[thread].query {
            last++;
        }
        query_ends[thread] = ends[last];
    }
    workgroupBarrier();
}

// The segment that a row of the workgroup's belongs to: the first that ends after it.
fn segment_of(row: u32, count: u32) -> u32 {
    var low = 0u;
    var high = count - 1u;
    while low < high {
        let middle = (low + high) / 2u;
        if ends[middle] > row {
            high = middle;
        } else {
            low = middle + 1u;
        }
    }
    return low;
}

// Finds the rows of the tile that starts at row `first` of the workgroup's. Where it reaches past
// the last row of its query, it repeats that row: a maximum over a row taken twice is the same
// maximum.
fn place(thread: u32, first: u32, count: u32) {
    let head = segment_of(first, count);
    let end = min(query_ends[head], first + ROWS);
    for (var at = thread; at < ROWS; at += THREADS) {
        let row = min(first + at, end - 1u);
        let owner = segment_of(row, count);
        let segment = group[owner];
        sources[at] = (segment.first_row + row + segment.rows - ends[owner]) * params.quads;
        pairs[at] = segment.first_maximum;
    }
    if thread == 0u {
        tile = Tile(group[head].query, end - first);
    }
}

fn write(best: Best) {
    if best.cell != NOWHERE {
        atomicMax(&maxima[best.cell], ordered(best.similarity));
    }
}

// Folds the products of a tile: a thread takes one query token and some neighbouring rows, and
// writes its maximum when it comes to another pair or another token.
fn fold(thread: u32, token: u32, best_in: Best) -> Best {
    let share = ROWS * QUERIES / THREADS;
    let first = thread / QUERIES * share;
    var best = best_in;
    for (var row = first; row < first + share; row++) {
        let cell = pairs[row] + token;
        if cell != best.cell {
            write(best);
            best = Best(cell, LOWEST);
        }
        best.similarity = max(best.similarity, similarity(row, thread % QUERIES));
    }
    return best;
}

@compute @workgroup_size(THREADS)
fn maxsim(@builtin(workgroup_id) workgroup: vec3<u32>, thread: Thread) {
    let first_segment = item_index(workgroup) * params.group;
    if first_segment >= params.items {
        return;
    }
    let count = min(params.group, params.items - first_segment);
    gather(thread.index, params.first_item + first_segment, count);
    let total = workgroupUniformLoad(&ends[count - 1u]);

    // The query tokens that are held in workgroup memory, by the first of them.
    var held = NOWHERE;
    var best = Best(NOWHERE, LOWEST);
    var first = 0u;
    while first < total {
        place(thread.index, first, count);
        let current = workgroupUniformLoad(&tile);
        let span = spans[current.query];
        let first_token = workgroup.z * params.tiles * QUERIES;
        let last_token = min(span.tokens, first_token + params.tiles * QUERIES);
        for (var token = first_token; token < last_token; token += QUERIES) {
            let tokens = QueryTile(span.first_token + token, span.tokens - token);
            multiply(thread, tokens, token == first_token, held != tokens.first);
            held = tokens.first;
            let mine = token + thread.index % QUERIES;
            if mine < span.tokens {
                best = fold(thread.index, mine, best);
            }
        }
        first += current.rows;
        workgroupBarrier();
    }
    write(best);
}
