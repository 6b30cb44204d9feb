// Upper bounds on similarities from rows in int8: the piece of `maxsim_teams.wgsl` that multiplies four
// integers packed in a u32. `src/gpu/quantized/mod.rs` says why what comes out is no less than a score.
//
// An octet is 16 columns. Behind the columns of a query token is an octet of its constants: the value of an
// integer 1; then, in that unit, its length, and what a row of length 1 may add.

alias Sums = array<array<vec4<i32>, FOURS>, ROWS_OF_LANE>;

// Of each row its scale, without the sign and the last 11 bits, and behind it its residual in 12 bits.
@group(1) @binding(2) var<storage, read> scales: array<u32>;

// The query tokens, OCTETS of columns of them: the first tokens of all lanes, then the second.
var<workgroup> tokens: array<vec4<u32>, OCTETS * TOKENS>;

fn place_of(octet: u32, across: u32, at: u32) -> u32 {
    return octet * TOKENS + at * LANES_ACROSS + across;
}

// Stages `octets` octets of the block's query tokens, from `octet` on; past the last token, that one
// again.
fn stage(thread: u32, block: TokenBlock, octet: u32, octets: u32) {
    for (var at = thread; at < octets * TOKENS; at += THREADS) {
        let token = at % TOKENS;
        let row = block.first_token + min(token, block.tokens - 1u);
        let place = place_of(at / TOKENS, token / TOKENS_OF_LANE, token % TOKENS_OF_LANE);
        tokens[place] = query[row * params.query_octets + octet + at / TOKENS];
    }
}

fn constants_of(block: TokenBlock, token: u32) -> vec3<f32> {
    let row = block.first_token + min(token, block.tokens - 1u);
    return bitcast<vec3<f32>>(query[row * params.query_octets + params.row_octets].xyz);
}

fn dot_of_octets(a: vec4<u32>, b: vec4<u32>) -> i32 {
    var sum = 0;
    for (var four = 0u; four < 4u; four++) {
        sum += dot4I8Packed(a[four], b[four]);
    }
    return sum;
}

// Adds the products of the lane's rows over `octets` octets, which are those in `tokens`.
fn multiply(sums: ptr<function, Sums>, lane: Lane, sources: OfRows, octets: u32) {
    for (var octet = 0u; octet < octets; octet++) {
        var columns: array<vec4<u32>, ROWS_OF_LANE>;
        for (var row = 0u; row < ROWS_OF_LANE; row++) {
            columns[row] = rows[sources[row] + octet];
        }
        for (var at = 0u; at < TOKENS_OF_LANE; at++) {
            let token = tokens[place_of(octet, lane.across, at)];
            for (var row = 0u; row < ROWS_OF_LANE; row++) {
                (*sums)[row][at / 4u][at % 4u] += dot_of_octets(token, columns[row]);
            }
        }
    }
}

// Each row is raised by what its residual may be worth to a token.
fn keep_best(
    best: ptr<function, OfTokens>,
    sums: ptr<function, Sums>,
    lane: Lane,
    block: TokenBlock,
    numbers: OfRows,
) {
    var lengths: OfTokens;
    for (var at = 0u; at < TOKENS_OF_LANE; at++) {
        lengths[at / 4u][at % 4u] = constants_of(block, lane.across * TOKENS_OF_LANE + at).y;
    }
    for (var row = 0u; row < ROWS_OF_LANE; row++) {
        let word = scales[numbers[row]];
        let scale = bitcast<f32>((word >> 12u) << 11u);
        let residual = bitcast<f32>((word & 0xfffu) << 19u);
        for (var four = 0u; four < FOURS; four++) {
            let similarity = vec4<f32>((*sums)[row][four]) * scale;
            (*best)[four] = max((*best)[four], similarity + residual * lengths[four]);
        }
    }
}

// The bound of a query token over a document.
fn finished(highest: f32, block: TokenBlock, token: u32, task: Task) -> f32 {
    let constants = constants_of(block, token);
    return (highest + constants.z * task.longest) * constants.x;
}
