// Matches: for each query token of a hit the document token that is most similar to it.
//
// It runs over hits alone, so it needs no tiles: a workgroup takes one query token, and a thread
// every sixty-fourth row.

const THREADS = 64u;
const DEPTH = 8u;

// Neighbouring rows of one hit of one query.
struct MatchSegment {
    // In the page that is bound.
    first_row: u32,
    rows: u32,
    // In the table of queries.
    query: u32,
    // Where the matches of the pair start: one for each token of the query.
    first_match: u32,
    // The document token of the first row.
    first_token: u32,
}

// A document token, and its similarity, ordered(). Zeros are below all.
struct Match {
    similarity: u32,
    token: u32,
}

@group(0) @binding(1) var<storage, read> query: array<Quad>;
@group(0) @binding(2) var<storage, read> spans: array<QuerySpan>;
@group(0) @binding(3) var<storage, read> segments: array<MatchSegment>;
// A run for each pair; cleared before the first segment. No two segments of one dispatch are of the
// same pair.
@group(0) @binding(4) var<storage, read_write> matches: array<Match>;
// The page.
@group(1) @binding(0) var<storage, read> rows: array<Quad>;

var<workgroup> best: array<Match, THREADS>;

// The better one: the more similar, then the earlier.
fn better(a: Match, b: Match) -> Match {
    if a.similarity == b.similarity {
        return Match(a.similarity, min(a.token, b.token));
    }
    if a.similarity > b.similarity {
        return a;
    }
    return b;
}

// Blocks of DEPTH quads, each with a sum of its own, as in the first pass.
fn similarity(query_row: u32, row: u32) -> f32 {
    var sum = 0.0;
    for (var quad = 0u; quad < params.quads; quad += DEPTH) {
        var block = 0.0;
        for (var at = quad; at < min(quad + DEPTH, params.quads); at++) {
            let q = widen(query[query_row * params.quads + at]);
            block += dot(q, widen(rows[row * params.quads + at]));
        }
        sum += block;
    }
    return sum;
}

fn best_of_rows(thread: u32, segment: MatchSegment, query_row: u32) -> Match {
    var mine = Match(0u, 0xffffffffu);
    for (var row = thread; row < segment.rows; row += THREADS) {
        let found = ordered(similarity(query_row, segment.first_row + row));
        mine = better(mine, Match(found, segment.first_token + row));
    }
    return mine;
}

@compute @workgroup_size(THREADS)
fn find_matches(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = item_index(workgroup);
    if item >= params.items {
        return;
    }
    let segment = segments[params.first_item + item];
    let span = spans[segment.query];
    for (var token = workgroup.z; token < span.tokens; token += workgroups.z) {
        workgroupBarrier();
        best[thread] = best_of_rows(thread, segment, span.first_token + token);
        for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            if thread < stride {
                best[thread] = better(best[thread], best[thread + stride]);
            }
        }
        if thread == 0u {
            let cell = segment.first_match + token;
            matches[cell] = better(matches[cell], best[0]);
        }
    }
}
