//! A page, with the patches that a query matched in colour.
//!
//! | file | holds |
//! |---|---|
//! | `heat.rs` | [`HeatMap`]: the similarities of a page's patches |
//! | `grid.rs` | [`Grid`]: columns and rows of patches |
//! | `picture.rs` | the picture: the page, the heat over it, the legend beside it |
//! | `legend.rs` | the bar of colours with its values |
//! | `colours.rs` | colours of heat |

mod colours;
mod grid;
mod heat;
mod legend;
mod picture;

pub use grid::Grid;
pub use heat::{HeatMap, Patch};
