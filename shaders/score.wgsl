// Scores from the maxima of a block, which lie in workgroup memory: TOKENS for each subgroup or team.

// Four chains side by side: the same order wherever a query's score is summed up.
fn score_of(owner: u32, tokens: u32) -> f32 {
    var sums = vec4<f32>();
    for (var token = 0u; token < TOKENS; token += 4u) {
        let at = owner * TOKENS + token;
        let four = vec4(maxima[at], maxima[at + 1u], maxima[at + 2u], maxima[at + 3u]);
        sums += select(vec4<f32>(), four, token + vec4(0u, 1u, 2u, 3u) < vec4(tokens));
    }
    return (sums.x + sums.y) + (sums.z + sums.w);
}
