//! Queries, packed for the kernel once a request.

use half::slice::HalfFloatSliceExt;

use crate::multivector::TokenMatrixRef;

/// Registers of query tokens that one tile of the kernel works on at most.
pub(super) const MAX_VECTORS: usize = 4;

/// Tokens that lie in rows at most, beside others in lanes. Where none lie in lanes, it is half of a
/// register. Measured: more of them take longer than lanes that are partly unused.
const FEW: usize = 4;

/// The tokens of one query or of several, in f32, for registers of one width.
///
/// Tokens of several queries follow one another without a gap: to the kernel they are one long
/// query, and only sums know the borders.
///
/// Most tokens lie in the lanes: cut into panels of at most [`MAX_VECTORS`] registers, row-major
/// `[dim, lanes of the panel]`, so that a register holds one column of as many tokens as it has
/// lanes. The last few tokens, if they would leave too much of a register unused, lie in rows.
pub(super) struct PackedQueries {
    panels: Vec<f32>,
    /// `[few, stride]`.
    rows: Vec<f32>,
    /// Tokens of each query.
    tokens: Vec<usize>,
    /// Tokens in lanes, and in rows.
    many: usize,
    few: usize,
    dim: usize,
    width: usize,
}

/// A panel of [`PackedQueries`].
pub(super) struct Panel<'a> {
    /// `[dim, vectors · width]`.
    pub columns: &'a [f32],
    /// Registers a row of it fills.
    pub vectors: usize,
    /// First lane of the panel, counted over the whole query.
    pub first_lane: usize,
}

impl PackedQueries {
    /// Packs queries of one dimension for registers of `width` lanes.
    pub(super) fn new(queries: &[TokenMatrixRef<'_>], dim: usize, width: usize) -> Self {
        let tokens: Vec<usize> = queries.iter().map(TokenMatrixRef::tokens).collect();
        let all = tokens.iter().sum::<usize>();
        let most = if all < width { width / 2 } else { FEW };
        let few = if all % width <= most { all % width } else { 0 };
        let many = all - few;
        let stride = dim.next_multiple_of(width);
        let panels = vec![0.0; many.next_multiple_of(width) * dim];
        let rows = vec![0.0; few * stride];
        let mut packed = Self { panels, rows, tokens, many, few, dim, width };
        let mut widened = vec![0.0; dim];
        for (token, values) in queries.iter().flat_map(TokenMatrixRef::rows).enumerate() {
            values.convert_to_f32_slice(&mut widened);
            match token.checked_sub(many) {
                None => packed.put_in_lane(token, &widened),
                Some(row) => packed.rows[row * stride..][..dim].copy_from_slice(&widened),
            }
        }
        packed
    }

    fn put_in_lane(&mut self, token: usize, values: &[f32]) {
        let first = token - token % (MAX_VECTORS * self.width);
        let panel_lanes = (self.lanes() - first).min(MAX_VECTORS * self.width);
        let panel = &mut self.panels[first * self.dim..];
        for (column, value) in values.iter().enumerate() {
            panel[column * panel_lanes + token - first] = *value;
        }
    }

    /// The panels, in the order of their tokens.
    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_>> {
        let panel_lanes = MAX_VECTORS * self.width;
        self.panels.chunks(panel_lanes * self.dim).enumerate().map(move |(index, columns)| Panel {
            columns,
            vectors: columns.len() / (self.dim * self.width),
            first_lane: index * panel_lanes,
        })
    }

    /// The tokens that lie in rows, `[few, stride]`; zeros follow each.
    pub(super) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Number of columns.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Values from one row to the next: the columns, rounded up to whole registers.
    pub(super) fn stride(&self) -> usize {
        self.dim.next_multiple_of(self.width)
    }

    /// Number of lanes that tokens lie in: those tokens, rounded up to whole registers.
    pub(super) fn lanes(&self) -> usize {
        self.panels.len() / self.dim
    }

    /// Tokens of each query.
    pub(super) fn tokens(&self) -> &[usize] {
        &self.tokens
    }

    /// Number of tokens in lanes.
    pub(super) fn tokens_in_lanes(&self) -> usize {
        self.many
    }

    /// Number of tokens in rows.
    pub(super) fn tokens_in_rows(&self) -> usize {
        self.few
    }
}
