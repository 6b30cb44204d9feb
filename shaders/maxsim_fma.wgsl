// Similarities by fused multiply-adds in f32, for adapters without matrix units: the piece of
// `maxsim_teams.wgsl` that multiplies two f16 packed in a u32.

// Vectors of the query tokens of a column.
const COLUMN_FOURS = TOKENS / 4u;

alias Sums = array<OfTokens, ROWS_OF_LANE>;

// The query tokens in f32, OCTETS of columns of them.
var<workgroup> tokens: array<vec4<f32>, OCTETS * 8u * COLUMN_FOURS>;

// Stages `octets` octets of the block's query tokens, from `octet` on; past the last token, that one
// again.
fn stage(thread: u32, block: TokenBlock, octet: u32, octets: u32) {
    for (var at = thread; at < octets * TOKENS; at += THREADS) {
        let token = at % TOKENS;
        let row = block.first_token + min(token, block.tokens - 1u);
        let columns = query[row * params.query_octets + octet + at / TOKENS];
        for (var pair = 0u; pair < 4u; pair++) {
            let values = widen(columns[pair]);
            let column = at / TOKENS * 8u + pair * 2u;
            tokens[column * COLUMN_FOURS + token / 4u][token % 4u] = values.x;
            tokens[(column + 1u) * COLUMN_FOURS + token / 4u][token % 4u] = values.y;
        }
    }
}

// Adds the products of one column of the lane's rows with its query tokens.
fn add_column(sums: ptr<function, Sums>, lane: Lane, column: u32, values: array<f32, ROWS_OF_LANE>) {
    for (var four = 0u; four < FOURS; four++) {
        let query_tokens = tokens[column * COLUMN_FOURS + lane.across * FOURS + four];
        for (var row = 0u; row < ROWS_OF_LANE; row++) {
            let sum = (*sums)[row][four];
            (*sums)[row][four] = fma(vec4(values[row]), query_tokens, sum);
        }
    }
}

// Adds the similarities of the lane's rows over `octets` octets, which are those in `tokens`.
fn multiply(
    sums: ptr<function, Sums>,
    lane: Lane,
    sources: OfRows,
    octets: u32,
) {
    for (var octet = 0u; octet < octets; octet++) {
        var columns: array<vec4<u32>, ROWS_OF_LANE>;
        for (var row = 0u; row < ROWS_OF_LANE; row++) {
            columns[row] = rows[sources[row] + octet];
        }
        for (var pair = 0u; pair < 4u; pair++) {
            var even: array<f32, ROWS_OF_LANE>;
            var odd: array<f32, ROWS_OF_LANE>;
            for (var row = 0u; row < ROWS_OF_LANE; row++) {
                let values = widen(columns[row][pair]);
                even[row] = values.x;
                odd[row] = values.y;
            }
            add_column(sums, lane, octet * 8u + pair * 2u, even);
            add_column(sums, lane, octet * 8u + pair * 2u + 1u, odd);
        }
    }
}

fn keep_best(
    best: ptr<function, OfTokens>,
    sums: ptr<function, Sums>,
    lane: Lane,
    block: TokenBlock,
    numbers: OfRows,
) {
    for (var row = 0u; row < ROWS_OF_LANE; row++) {
        for (var four = 0u; four < FOURS; four++) {
            (*best)[four] = max((*best)[four], (*sums)[row][four]);
        }
    }
}

// The maximum of a query token over a document.
fn finished(highest: f32, block: TokenBlock, token: u32, task: Task) -> f32 {
    return highest;
}
