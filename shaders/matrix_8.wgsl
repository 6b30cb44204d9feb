// Matrix units that multiply 8 × 8 tiles: Apple's, and llvmpipe's imitation.

const TILE = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;
