//! Token vectors that a model hardly meant: warned of once a file, or mended.

use std::path::Path;

use clap::Args;
use maxfold::multivector::{RowCleanup, RowCounts};

#[derive(Args)]
pub struct CleanupArgs {
    /// Scales token vectors to unit length.
    #[arg(long)]
    normalize: bool,
    /// Leaves out token vectors of zeros: padding, most often.
    #[arg(long)]
    drop_zero_rows: bool,
}

impl CleanupArgs {
    pub fn cleanup(&self) -> RowCleanup {
        RowCleanup::new().normalize(self.normalize).drop_zero_rows(self.drop_zero_rows)
    }

    /// Warns of what was found in a file and not mended. To the cosine, lengths mean nothing.
    pub fn warn(&self, file: &Path, found: RowCounts, cosine: bool) {
        let (file, RowCounts { rows, zero, not_unit, .. }) = (file.display(), found);
        if zero > 0 && !self.drop_zero_rows {
            eprintln!(
                "warning: {zero} of {rows} token vectors in {file} are zeros, as padding is; \
                 --drop-zero-rows leaves them out"
            );
        }
        if not_unit > 0 && !self.normalize && !cosine {
            eprintln!(
                "warning: {not_unit} of {rows} token vectors in {file} are not of unit length; \
                 --normalize scales them"
            );
        }
    }
}
