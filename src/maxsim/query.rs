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
/// Most tokens lie in the lanes. The last few, if they would leave too much of a register unused, lie
/// in rows.
pub(super) struct PackedQueries {
    panels: Panels<f32>,
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

impl PackedQueries {
    /// Packs queries of one dimension for registers of `width` lanes.
    pub(super) fn new(queries: &[TokenMatrixRef<'_>], dim: usize, width: usize) -> Self {
        let tokens: Vec<usize> = queries.iter().map(TokenMatrixRef::tokens).collect();
        let all = tokens.iter().sum::<usize>();
        let most = if all < width { width / 2 } else { FEW };
        let few = if all % width <= most { all % width } else { 0 };
        let many = all - few;
        let stride = dim.next_multiple_of(width);
        let panels = Panels::new(many, dim, width);
        let rows = vec![0.0; few * stride];
        let mut packed = Self { panels, rows, tokens, many, few, dim, width };
        let mut widened = vec![0.0; dim];
        for (token, values) in queries.iter().flat_map(TokenMatrixRef::rows).enumerate() {
            values.convert_to_f32_slice(&mut widened);
            match token.checked_sub(many) {
                None => packed.panels.put(token, &widened),
                Some(row) => packed.rows[row * stride..][..dim].copy_from_slice(&widened),
            }
        }
        packed
    }

    /// The tokens in lanes, in their order.
    pub(super) fn panels(&self) -> impl Iterator<Item = Panel<'_, f32>> {
        self.panels.iter()
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
        self.panels.lanes()
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

/// Tokens in lanes: cut into panels of at most [`MAX_VECTORS`] registers, row-major
/// `[columns, lanes of the panel]`, so that a register holds one column of as many tokens as it has
/// lanes.
pub(super) struct Panels<V> {
    values: Vec<V>,
    columns: usize,
    width: usize,
}

/// One of [`Panels`].
pub(super) struct Panel<'a, V> {
    /// `[columns, vectors · width]`.
    pub columns: &'a [V],
    /// Registers a row of it fills.
    pub vectors: usize,
    /// First lane of the panel, counted over the whole query.
    pub first_lane: usize,
}

impl<V: Copy + Default> Panels<V> {
    /// Room for so many tokens, zeros for now, for registers of `width` lanes.
    pub(super) fn new(tokens: usize, columns: usize, width: usize) -> Self {
        let values = vec![V::default(); tokens.next_multiple_of(width) * columns];
        Self { values, columns, width }
    }

    /// Puts a token into its lane.
    pub(super) fn put(&mut self, token: usize, values: &[V]) {
        let first = token - token % (MAX_VECTORS * self.width);
        let panel_lanes = (self.lanes() - first).min(MAX_VECTORS * self.width);
        let panel = &mut self.values[first * self.columns..];
        for (column, value) in values.iter().enumerate() {
            panel[column * panel_lanes + token - first] = *value;
        }
    }

    /// The panels, in the order of their tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = Panel<'_, V>> {
        let panel_lanes = MAX_VECTORS * self.width;
        self.values.chunks(panel_lanes * self.columns).enumerate().map(move |(index, columns)| {
            let vectors = columns.len() / (self.columns * self.width);
            Panel { columns, vectors, first_lane: index * panel_lanes }
        })
    }

    /// Number of lanes: the tokens, rounded up to whole registers.
    pub(super) fn lanes(&self) -> usize {
        self.values.len() / self.columns
    }
}
