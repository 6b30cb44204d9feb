//! Points to be ingested: the lines of a file, or the text files of a folder.

use std::error::Error;
use std::path::{Path, PathBuf};

use maxfold::collection::{Point, PointLines};
use maxfold::{Error as Fault, PointId, text};
use uuid::Uuid;
use walkdir::{DirEntry, WalkDir};

use super::Args;
use crate::model;

/// Points, read one after the other.
pub enum Points<'a> {
    Lines(Box<PointLines>),
    Files(Files<'a>),
}

/// The text files of a folder.
pub struct Files<'a> {
    folder: &'a Path,
    /// The key of the payload that has the text.
    field: &'a str,
    paths: std::vec::IntoIter<PathBuf>,
    /// Files without text: how many, and the first.
    without: usize,
    first_without: Option<PathBuf>,
    /// Those of them that are blank, and may have had text before.
    emptied: Vec<PointId>,
}

impl<'a> Points<'a> {
    /// Points that the arguments name, and how many there are at most.
    pub fn open(args: &'a Args) -> Result<(Self, usize), Box<dyn Error>> {
        if let Some(folder) = &args.folder {
            let paths = files(folder)?;
            let (count, field) = (paths.len(), args.text.field.as_str());
            let paths = paths.into_iter();
            let (without, first_without, emptied) = (0, None, Vec::new());
            let files = Files { folder, field, paths, without, first_without, emptied };
            return Ok((Self::Files(files), count));
        }
        let path = args.points.as_deref().unwrap_or_else(|| Path::new(""));
        let count = text::lines(path)?.try_fold(0, |count, line| line.map(|_| count + 1))?;
        Ok((Self::Lines(Box::new(PointLines::open(path)?)), count))
    }

    /// The ids of files that are blank.
    pub fn emptied(&self) -> impl Iterator<Item = PointId> {
        let emptied = match self {
            Self::Lines(_) => &[],
            Self::Files(files) => files.emptied.as_slice(),
        };
        emptied.iter().copied()
    }

    /// Warns of files that were left out.
    pub fn warn(&self) {
        if let Self::Files(Files { without, first_without: Some(first), .. }) = self {
            let first = first.display();
            eprintln!(
                "warning: {without} files have no text and were left out; the first is {first}"
            );
        }
    }
}

impl Iterator for Points<'_> {
    type Item = maxfold::Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Files(files) => files.next(),
        }
    }
}

impl Iterator for Files<'_> {
    type Item = maxfold::Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let path = self.paths.next()?;
            match text::read(&path) {
                Ok(text) if !text.trim().is_empty() => return Some(Ok(self.point(&path, text))),
                Err(error) if !is_other(&error) => return Some(Err(error)),
                other => {
                    self.emptied.extend(other.is_ok().then(|| self.id(&path)));
                    self.without += 1;
                    self.first_without.get_or_insert(path);
                }
            }
        }
    }
}

impl Files<'_> {
    /// A file's path in the folder.
    fn inside<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(self.folder).unwrap_or(path)
    }

    /// Of the same path, the same id.
    fn id(&self, path: &Path) -> PointId {
        let path = self.inside(path).as_os_str().as_encoded_bytes();
        Uuid::new_v5(&Uuid::NAMESPACE_URL, path).into()
    }

    fn point(&self, path: &Path, text: String) -> Point {
        let mut point = Point::new(self.id(path));
        let path = self.inside(path);
        point.payload.insert(model::PATH.into(), path.display().to_string().into());
        point.payload.insert(self.field.into(), text.into());
        point
    }
}

/// Tells whether a file holds something other than text.
fn is_other(error: &Fault) -> bool {
    matches!(error, Fault::InFile { source, .. } if matches!(**source, Fault::NotText { .. }))
}

/// All files of a folder and of those in it, but for hidden ones, in the order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, walkdir::Error> {
    let shown = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
    };
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name();
    let files = entries
        .into_iter()
        .filter_entry(shown)
        .filter(|entry| entry.as_ref().map_or(true, |entry| entry.file_type().is_file()));
    files.map(|entry| entry.map(DirEntry::into_path)).collect()
}
