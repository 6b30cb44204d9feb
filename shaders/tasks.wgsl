// Tasks: a block of query tokens, and the rows of a document, or of a part of one.

// Neighbouring items (documents of the bound page) for the same query tokens. Each item is divided into `parts`, and
// each part meets each block: these are the run's tasks. A chunk is up to `group` tasks with the same
// block; the chunks of a run go on to the next's. Neighbouring chunks have the same rows and other
// blocks, so that the rows that one of them reads are in a cache for the next.
struct Run {
    first_chunk: u32,
    first_item: u32,
    items: u32,
    // Words of an item: a slot, and, where there are two, its row of maxima.
    item_words: u32,
    parts: u32,
    group: u32,
    first_block: u32,
    blocks: u32,
    // Where the results of the first item start.
    first_result: u32,
    // Maxima of a part, one for each query token of all blocks; 0 where there is one block of one
    // query, and its sum, the score, is the result.
    cells: u32,
}

// Some query tokens.
struct TokenBlock {
    // In `query`.
    first_token: u32,
    tokens: u32,
    // Where their maxima start, in those of a part.
    first_cell: u32,
}

// Where a document lies in the page that is bound.
struct Place {
    first_row: u32,
    rows: u32,
    // Length of the longest row, where they are in int8.
    longest: f32,
}

// A task: its rows, and where its result starts.
struct Task {
    first_row: u32,
    rows: u32,
    result: u32,
    longest: f32,
}

// The lowest f32. f16 inputs can't reach it, so no similarity is below.
const LOWEST = -0x1.fffffep+127f;

@group(0) @binding(1) var<storage, read> runs: array<Run>;
@group(0) @binding(2) var<storage, read> blocks: array<TokenBlock>;
@group(0) @binding(3) var<storage, read> items: array<u32>;
@group(1) @binding(1) var<storage, read> places: array<Place>;

// The run of a chunk: the last one that doesn't start after it.
fn run_of(chunk: u32) -> Run {
    var low = params.first_entry;
    var high = low + params.entries;
    while high - low > 1u {
        let middle = (low + high) / 2u;
        if runs[middle].first_chunk <= chunk {
            low = middle;
        } else {
            high = middle;
        }
    }
    return runs[low];
}

// The block of a chunk, counted in its run.
fn block_of(run: Run, chunk: u32) -> TokenBlock {
    return blocks[run.first_block + (chunk - run.first_chunk) % run.blocks];
}

// The first task of a chunk, and the end: items times parts.
fn tasks_of(run: Run, chunk: u32) -> vec2<u32> {
    let first = (chunk - run.first_chunk) / run.blocks * run.group;
    return vec2(first, min(first + run.group, run.items * run.parts));
}

// A part of a document of fewer rows than parts takes a row again: that changes no maximum.
fn task_of(run: Run, block: TokenBlock, at: u32) -> Task {
    let item = run.first_item + at / run.parts * run.item_words;
    let place = places[items[item]];
    let step = (place.rows + run.parts - 1u) / run.parts;
    let first = min(at % run.parts * step, place.rows - 1u);
    var result = at;
    if run.item_words == 2u {
        result = items[item + 1u] + at % run.parts;
    }
    if run.cells > 0u {
        result = result * run.cells + block.first_cell;
    }
    let rows = min(step, place.rows - first);
    return Task(place.first_row + first, rows, run.first_result + result, place.longest);
}
