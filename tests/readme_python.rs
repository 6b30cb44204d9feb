//! The Python function that README gives writes what we read, however its arrays lie in memory.
//!
//! It needs Python with numpy and safetensors: `python3`, or what `MAXFOLD_PYTHON` names. With
//! `MAXFOLD_REQUIRE_PYTHON=1` a missing one fails.

#[macro_use]
#[path = "support/trials.rs"]
mod trials;

use std::path::Path;
use std::process::{Command, ExitCode, Output};

use maxfold::multivector::Interchange;

fn main() -> ExitCode {
    trials::run(tests![saved_arrays_are_read], why_no_python(), Vec::new())
}

/// Arrays of whole numbers, which f16 holds: in rows, in columns, transposed, every second row, in f64.
const ARRAYS: &str = "
a = np.arange(12, dtype=np.float32).reshape(4, 3)
matrices = [a, np.asfortranarray(a + 20), np.arange(6, dtype=np.float32).reshape(3, 2).T + 40,
            (a + 60)[::2], a.astype(np.float64)[:1] + 80]
";

fn saved_arrays_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (arrays, offsets) in [
        (ARRAYS.to_owned(), vec![0, 4, 8, 10, 12, 13]),
        // One array alone is not copied by `concatenate` in every version.
        (format!("{ARRAYS}matrices = [matrices[1]]"), vec![0, 4]),
    ] {
        let path = folder.path().join("saved.safetensors");
        let save = format!("{}\n{arrays}\nsave({path:?}, matrices)\n", save_function());
        let output = python(&save).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tokens = Interchange::read(Path::new(&path)).unwrap().tokens;
        assert_eq!((tokens.dim(), tokens.offsets()), (3, offsets.as_slice()));
        let rows: Vec<f32> = tokens.values().iter().map(|it| it.to_f32()).collect();
        let count = |first: u8| (0..12).map(move |at| f32::from(first + at));
        let expected: Vec<f32> = match offsets.len() {
            2 => count(20).collect(),
            _ => count(0)
                .chain(count(20))
                .chain([40.0, 42.0, 44.0, 41.0, 43.0, 45.0])
                .chain([60.0, 61.0, 62.0, 66.0, 67.0, 68.0, 80.0, 81.0, 82.0])
                .collect(),
        };
        assert_eq!(rows, expected);
    }
}

/// The block of README that defines `save`.
fn save_function() -> &'static str {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```python\n").skip(1).filter_map(|it| it.split("```").next());
    let found: Vec<&str> = blocks.filter(|block| block.contains("\ndef save(")).collect();
    let [function] = found[..] else { panic!("expected one definition of save, got {found:?}") };
    function
}

fn python(program: &str) -> std::io::Result<Output> {
    let interpreter = std::env::var_os("MAXFOLD_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(interpreter).args(["-c", program]).output()
}

/// The reason why it can't be run here, unless it is required: then it is run, and fails.
fn why_no_python() -> Option<String> {
    if std::env::var_os("MAXFOLD_REQUIRE_PYTHON").is_some() {
        return None;
    }
    match python("import numpy, safetensors.numpy") {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr);
            Some(told.lines().last().unwrap_or("Python says nothing").into())
        }
        Err(error) => Some(format!("python3: {error}")),
    }
}
