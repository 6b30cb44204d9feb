// Sizes of the first pass, chosen for an adapter: see `tuning.rs`.

// Threads of a workgroup.
override THREADS: u32;
// Document tokens of a tile, and query tokens.
override ROWS: u32;
override QUERIES: u32;
// Quads of columns multiplied at a time: 256 columns at most, which the bound on scores asks for.
override DEPTH: u32;
// Quads of query tokens that are kept: where a row is no longer, they are staged once.
override HELD: u32;

// A tile of query tokens: the first, counted over all queries, and those up to its query's end.
struct QueryTile {
    first: u32,
    tokens: u32,
}

// The first quad of a row of the tile. Past the last token, it is that one again.
fn query_source(tokens: QueryTile, row: u32) -> u32 {
    return (tokens.first + min(row, tokens.tokens - 1u)) * params.quads;
}
