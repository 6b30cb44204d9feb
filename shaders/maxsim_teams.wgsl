// MaxSim by teams of threads. A workgroup takes a chunk, and each of its teams a document of it, round by
// round. A team's lanes lie across the query tokens of the block and down the rows: a lane has
// TOKENS_OF_LANE tokens and ROWS_OF_LANE rows, whose similarities it keeps in registers. Query tokens lie
// in workgroup memory, where lanes across read neighbours and lanes down the same; rows come from storage.
// Maxima stay in registers until the end of a document.
//
// Another piece multiplies: it has `tokens` and `stage`, `Sums` and `multiply`, `keep_best` and `finished`.

const TEAM = 32u;
const TEAMS = THREADS / TEAM;
// Query tokens of a block; those of a lane, as vectors of four; lanes across, and down.
const TOKENS = 32u;
const FOURS = 2u;
const TOKENS_OF_LANE = 4u * FOURS;
const LANES_ACROSS = TOKENS / TOKENS_OF_LANE;
const LANES_DOWN = TEAM / LANES_ACROSS;
const TEAM_ROWS = LANES_DOWN * ROWS_OF_LANE;
// From a lane's maxima to the next lane's, which are in other banks.
const LANE_STRIDE = TOKENS + 1u;

// Octets of columns: 16 bytes.
@group(0) @binding(4) var<storage, read> query: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> results: array<f32>;
@group(1) @binding(0) var<storage, read> rows: array<vec4<u32>>;

// Maxima of each lane down; and of each team.
var<workgroup> exchange: array<f32, TEAMS * LANES_DOWN * LANE_STRIDE>;
var<workgroup> maxima: array<f32, TEAMS * TOKENS>;
// Rows of the longest document of a round.
var<workgroup> longest: u32;

// Where a thread is.
struct Lane {
    thread: u32,
    team: u32,
    across: u32,
    down: u32,
}

// Values of a lane: of its rows, and of its query tokens.
alias OfRows = array<u32, ROWS_OF_LANE>;
alias OfTokens = array<vec4<f32>, FOURS>;

// The lane's rows, which are those from `first` on of a task's. Past the last row, that one again: a row
// taken twice changes no maximum.
fn rows_of(lane: Lane, task: Task, first: u32) -> OfRows {
    var numbers: OfRows;
    for (var row = 0u; row < ROWS_OF_LANE; row++) {
        let at = first + row * LANES_DOWN + lane.down;
        numbers[row] = task.first_row + min(at, task.rows - 1u);
    }
    return numbers;
}

// Their first octets.
fn sources_of(numbers: OfRows) -> OfRows {
    var sources: OfRows;
    for (var row = 0u; row < ROWS_OF_LANE; row++) {
        sources[row] = numbers[row] * params.row_octets;
    }
    return sources;
}

// Similarities of rows longer than OCTETS octets: query tokens are staged block by block, and each
// block has a sum of its own, because equal numbers are all rounded the same way, and so the error of
// one long chain of additions would grow with its length.
fn multiply_blocks(sums: ptr<function, Sums>, lane: Lane, block: TokenBlock, first: OfRows) {
    var sources = first;
    for (var octet = 0u; octet < params.row_octets; octet += OCTETS) {
        let octets = min(OCTETS, params.row_octets - octet);
        workgroupBarrier();
        stage(lane.thread, block, octet, octets);
        workgroupBarrier();
        var part: Sums;
        multiply(&part, lane, sources, octets);
        for (var row = 0u; row < ROWS_OF_LANE; row++) {
            sources[row] += octets;
            for (var four = 0u; four < FOURS; four++) {
                (*sums)[row][four] += part[row][four];
            }
        }
    }
}

// Rows of the longest document of a round, whose tasks are from `first` on.
fn longest_of(thread: u32, run: Run, block: TokenBlock, first: u32, end: u32) -> u32 {
    if thread == 0u {
        longest = 0u;
        for (var at = first; at < min(first + TEAMS, end); at++) {
            longest = max(longest, task_of(run, block, at).rows);
        }
    }
    return workgroupUniformLoad(&longest);
}

// The maxima of the lane's tokens over its rows of a task. `longest` rows are walked over, the same
// number by all teams, where they stage query tokens together.
fn best_of(lane: Lane, block: TokenBlock, task: Task, longest_rows: u32) -> OfTokens {
    var best: OfTokens;
    for (var four = 0u; four < FOURS; four++) {
        best[four] = vec4(LOWEST);
    }
    for (var first = 0u; first < longest_rows; first += TEAM_ROWS) {
        let numbers = rows_of(lane, task, first);
        var sums: Sums;
        if HELD {
            multiply(&sums, lane, sources_of(numbers), params.row_octets);
        } else {
            multiply_blocks(&sums, lane, block, sources_of(numbers));
        }
        keep_best(&best, &sums, lane, block, numbers);
    }
    return best;
}

// Folds a team's maxima over its lanes down: then they are in `maxima`.
fn fold(lane: Lane, block: TokenBlock, task: Task, best: OfTokens) {
    let mine = (lane.team * LANES_DOWN + lane.down) * LANE_STRIDE + lane.across * TOKENS_OF_LANE;
    for (var at = 0u; at < TOKENS_OF_LANE; at++) {
        exchange[mine + at] = best[at / 4u][at % 4u];
    }
    workgroupBarrier();
    let token = lane.thread % TEAM;
    var highest = LOWEST;
    for (var down = 0u; down < LANES_DOWN; down++) {
        highest = max(highest, exchange[(lane.team * LANES_DOWN + down) * LANE_STRIDE + token]);
    }
    maxima[lane.team * TOKENS + token] = finished(highest, block, token, task);
    workgroupBarrier();
}

// Writes what a task gives: its score, or its maxima.
fn finish(lane: Lane, run: Run, block: TokenBlock, task: Task) {
    let token = lane.thread % TEAM;
    if run.cells > 0u && token < block.tokens {
        results[task.result + token] = maxima[lane.team * TOKENS + token];
    }
    if run.cells == 0u && token == 0u {
        results[task.result] = score_of(lane.team, block.tokens);
    }
}

@compute @workgroup_size(THREADS)
fn maxsim(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let chunk = params.first_unit + workgroup_index(workgroup);
    if chunk >= params.end_unit {
        return;
    }
    let run = run_of(chunk);
    let block = block_of(run, chunk);
    let tasks = tasks_of(run, chunk);
    let in_team = thread % TEAM;
    let lane = Lane(thread, thread / TEAM, in_team % LANES_ACROSS, in_team / LANES_ACROSS);
    if HELD {
        stage(thread, block, 0u, params.row_octets);
        workgroupBarrier();
    }
    for (var first = tasks.x; first < tasks.y; first += TEAMS) {
        // A team without a document of its own takes the last one again, and writes nothing.
        let at = first + lane.team;
        let task = task_of(run, block, min(at, tasks.y - 1u));
        var walked = task.rows;
        if !HELD {
            walked = longest_of(thread, run, block, first, tasks.y);
        }
        fold(lane, block, task, best_of(lane, block, task, walked));
        if at < tasks.y {
            finish(lane, run, block, task);
        }
    }
}
