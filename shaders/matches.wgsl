// Matches: for each query token of a hit the document token that is most similar to it.
//
// It runs over hits alone, so it needs no tiles: a workgroup takes a task, and a thread every
// sixty-fourth row. Matches of the parts of a document are put together afterwards.

const THREADS = 64u;
// Octets that are summed up in one chain.
const CHAIN = 32u;

// A row, counted in its task, and its similarity, ordered(). Zeros are below all.
struct Match {
    similarity: u32,
    token: u32,
}

@group(0) @binding(4) var<storage, read> query: array<vec4<u32>>;
// One for each query token of a task.
@group(0) @binding(5) var<storage, read_write> matches: array<Match>;
@group(1) @binding(0) var<storage, read> rows: array<vec4<u32>>;

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

fn dot_of_octets(a: vec4<u32>, b: vec4<u32>) -> f32 {
    var sum = 0.0;
    for (var pair = 0u; pair < 4u; pair++) {
        sum += dot(widen(a[pair]), widen(b[pair]));
    }
    return sum;
}

fn similarity(token: u32, row: u32) -> f32 {
    var sum = 0.0;
    for (var chain = 0u; chain < params.row_octets; chain += CHAIN) {
        var part = 0.0;
        for (var octet = chain; octet < min(chain + CHAIN, params.row_octets); octet++) {
            let of_query = query[token * params.query_octets + octet];
            part += dot_of_octets(of_query, rows[row * params.row_octets + octet]);
        }
        sum += part;
    }
    return sum;
}

fn best_of_rows(thread: u32, task: Task, token: u32) -> Match {
    var mine = Match(0u, 0xffffffffu);
    for (var row = thread; row < task.rows; row += THREADS) {
        mine = better(mine, Match(ordered(similarity(token, task.first_row + row)), row));
    }
    return mine;
}

@compute @workgroup_size(THREADS)
fn find_matches(
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
    let task = task_of(run, block, tasks.x);
    for (var token = 0u; token < block.tokens; token++) {
        workgroupBarrier();
        best[thread] = best_of_rows(thread, task, block.first_token + token);
        for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
            workgroupBarrier();
            if thread < stride {
                best[thread] = better(best[thread], best[thread + stride]);
            }
        }
        if thread == 0u {
            matches[task.result + token] = best[0];
        }
    }
}
