// First pass: the maximum similarity of every query token over a segment of a document. One dispatch
// serves many queries, each with candidates of its own.
//
// A workgroup multiplies a tile of query tokens with tiles of document tokens, DEPTH quads of
// columns at a time. A thread keeps the sums of 4 × 4 pairs in registers, then folds them into the
// maxima of its query tokens. No similarity leaves the registers.

const QUERY_TILE = 32u;
const DOCUMENT_TILE = 64u;
const DEPTH = 8u;
const QUERIES_PER_THREAD = 4u;
const DOCUMENTS_PER_THREAD = 4u;
// Threads that share query tokens, each with document tokens of its own.
const LANES = DOCUMENT_TILE / DOCUMENTS_PER_THREAD;
const THREADS = QUERY_TILE / QUERIES_PER_THREAD * LANES;
// The lowest f32. f16 inputs can't reach it, so no similarity is below.
const LOWEST = -0x1.fffffep+127f;

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

@group(0) @binding(1) var<storage, read> query: array<Quad>;
@group(0) @binding(2) var<storage, read> spans: array<QuerySpan>;
@group(0) @binding(3) var<storage, read> segments: array<Segment>;
// ordered(); a run for each pair.
@group(0) @binding(4) var<storage, read_write> maxima: array<atomic<u32>>;
// The page.
@group(1) @binding(0) var<storage, read> rows: array<Quad>;

// Column-major [DEPTH, rows of the tile]: neighbouring threads read neighbouring words.
var<workgroup> query_tile: array<vec4<f32>, DEPTH * QUERY_TILE>;
var<workgroup> document_tile: array<vec4<f32>, DEPTH * DOCUMENT_TILE>;

// Rows past the end repeat the last one: a maximum over a row taken twice is the same maximum.
fn load_query(thread: u32, span: QuerySpan, first: u32, quad: u32, depth: u32) {
    for (var cell = thread; cell < DEPTH * QUERY_TILE; cell += THREADS) {
        let row = span.first_token + min(first + cell / DEPTH, span.tokens - 1u);
        let column = cell % DEPTH;
        if column < depth {
            let value = widen(query[row * params.quads + quad + column]);
            query_tile[column * QUERY_TILE + cell / DEPTH] = value;
        }
    }
}

fn load_document(thread: u32, segment: Segment, first: u32, quad: u32, depth: u32) {
    for (var cell = thread; cell < DEPTH * DOCUMENT_TILE; cell += THREADS) {
        let row = segment.first_row + min(first + cell / DEPTH, segment.rows - 1u);
        let column = cell % DEPTH;
        if column < depth {
            let value = widen(rows[row * params.quads + quad + column]);
            document_tile[column * DOCUMENT_TILE + cell / DEPTH] = value;
        }
    }
}

@compute @workgroup_size(THREADS)
fn maxsim(@builtin(workgroup_id) workgroup: vec3<u32>, thread_in: Thread) {
    let item = item_index(workgroup);
    if item >= params.items {
        return;
    }
    let segment = segments[params.first_item + item];
    let span = spans[segment.query];
    let first_query = workgroup.z * QUERY_TILE;
    // A query beside this one has more tiles.
    if first_query >= span.tokens {
        return;
    }
    let thread = thread_index(thread_in);
    let my_queries = thread / LANES * QUERIES_PER_THREAD;
    let my_document = thread % LANES;

    var best = vec4<f32>(LOWEST);
    for (var first = 0u; first < segment.rows; first += DOCUMENT_TILE) {
        // One vector a document token, one component a query token.
        var sums = array<vec4<f32>, DOCUMENTS_PER_THREAD>();
        for (var quad = 0u; quad < params.quads; quad += DEPTH) {
            let depth = min(DEPTH, params.quads - quad);
            workgroupBarrier();
            load_query(thread, span, first_query, quad, depth);
            load_document(thread, segment, first, quad, depth);
            workgroupBarrier();
            // A sum of its own for each block: equal numbers are all rounded the same way, and so
            // the error of one long chain of additions would grow with its length.
            var block = array<vec4<f32>, DOCUMENTS_PER_THREAD>();
            for (var column = 0u; column < depth; column++) {
                let at = column * QUERY_TILE + my_queries;
                let q0 = query_tile[at];
                let q1 = query_tile[at + 1u];
                let q2 = query_tile[at + 2u];
                let q3 = query_tile[at + 3u];
                for (var d = 0u; d < DOCUMENTS_PER_THREAD; d++) {
                    let token = document_tile[column * DOCUMENT_TILE + my_document + d * LANES];
                    block[d] += vec4(dot(q0, token), dot(q1, token), dot(q2, token), dot(q3, token));
                }
            }
            for (var d = 0u; d < DOCUMENTS_PER_THREAD; d++) {
                sums[d] += block[d];
            }
        }
        for (var d = 0u; d < DOCUMENTS_PER_THREAD; d++) {
            best = max(best, sums[d]);
        }
    }

    fold(thread_in, best);
    let query_token = first_query + thread;
    if thread < QUERY_TILE && query_token < span.tokens {
        let cell = segment.first_maximum + query_token;
        atomicMax(&maxima[cell], ordered(folded_maximum(thread)));
    }
}
