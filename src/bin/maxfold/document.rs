//! Files with one document of JSON.

use std::path::Path;

use maxfold::text;

/// Reads a file with `read`; errors carry its name.
pub fn read<T>(path: &Path, read: impl FnOnce(&str) -> maxfold::Result<T>) -> Result<T, String> {
    let text = text::read(path).map_err(|error| error.to_string())?;
    read(&text).map_err(|error| format!("{}: {error}", path.display()))
}
