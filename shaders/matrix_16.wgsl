// Matrix units that multiply 16 × 16 tiles: NVIDIA's, AMD's.

const TILE = 16u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
