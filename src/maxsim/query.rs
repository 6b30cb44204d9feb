//! The query, packed for the kernel once a request.

use half::slice::HalfFloatSliceExt;

use crate::multivector::TokenMatrixRef;

/// Registers of query tokens that one tile of the kernel works on at most.
pub(super) const MAX_VECTORS: usize = 4;

/// A query's tokens in f32, for registers of one width.
///
/// Most tokens lie in the lanes: cut into panels of at most [`MAX_VECTORS`] registers, row-major
/// `[dim, lanes of the panel]`, so that a register holds one column of as many tokens as it has
/// lanes. The last few tokens, if they would leave half of a register or more unused, lie in rows.
pub(super) struct PackedQuery {
    panels: Vec<f32>,
    /// `[few, stride]`.
    rows: Vec<f32>,
    tokens: usize,
    /// Tokens in rows.
    few: usize,
    dim: usize,
    width: usize,
}

/// A panel of a [`PackedQuery`].
pub(super) struct Panel<'a> {
    /// `[dim, vectors · width]`.
    pub columns: &'a [f32],
    /// Registers a row of it fills.
    pub vectors: usize,
    /// First lane of the panel, counted over the whole query.
    pub first_lane: usize,
}

impl PackedQuery {
    /// Packs for registers of `width` lanes.
    pub(super) fn new(query: TokenMatrixRef<'_>, width: usize) -> Self {
        let (tokens, dim) = (query.tokens(), query.dim());
        let few = if tokens % width <= width / 2 { tokens % width } else { 0 };
        let lanes = (tokens - few).next_multiple_of(width);
        let stride = dim.next_multiple_of(width);
        let (panels, rows) = (vec![0.0; lanes * dim], vec![0.0; few * stride]);
        let mut packed = Self { panels, rows, tokens, few, dim, width };
        let mut widened = vec![0.0; dim];
        for (token, values) in query.rows().enumerate() {
            values.convert_to_f32_slice(&mut widened);
            match token.checked_sub(tokens - few) {
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

    /// Number of tokens in lanes.
    pub(super) fn tokens_in_lanes(&self) -> usize {
        self.tokens - self.few
    }

    /// Number of tokens in rows.
    pub(super) fn tokens_in_rows(&self) -> usize {
        self.few
    }
}
