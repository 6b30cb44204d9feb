//! The query, packed for the kernel once a request.

use half::slice::HalfFloatSliceExt;

use crate::multivector::TokenMatrixRef;

/// Registers of query tokens that one tile of the kernel works on at most.
pub(super) const MAX_VECTORS: usize = 4;

/// A query's tokens in f32, column by column, so that a register holds one column of as many
/// tokens as it has lanes.
///
/// The tokens are cut into panels of at most [`MAX_VECTORS`] registers; a panel is row-major
/// `[dim, lanes of the panel]`. The lanes past the last token hold zeros and are never summed.
pub(super) struct PackedQuery {
    panels: Vec<f32>,
    tokens: usize,
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
        let lanes = tokens.next_multiple_of(width);
        let mut panels = vec![0.0; lanes * dim];
        let mut row = vec![0.0; dim];
        for (token, values) in query.rows().enumerate() {
            values.convert_to_f32_slice(&mut row);
            let first = token - token % (MAX_VECTORS * width);
            let panel_lanes = (lanes - first).min(MAX_VECTORS * width);
            let panel = &mut panels[first * dim..];
            for (column, value) in row.iter().enumerate() {
                panel[column * panel_lanes + token - first] = *value;
            }
        }
        Self { panels, tokens, dim, width }
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

    /// Number of tokens.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of columns.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of lanes: the tokens, rounded up to whole registers.
    pub(super) fn lanes(&self) -> usize {
        self.tokens.next_multiple_of(self.width)
    }
}
