//! What comes through the door, and what does not.

use half::{bf16, f16};
use maxfold::Error;
use maxfold::multivector::{
    DenseVectors, Interchange, MultiVectors, TokenMatrix, TokenMatrixRef, VectorFile,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

#[test]
fn values_are_rounded_to_f16_once() {
    // 0.1 lies between two f16; 2049 is a tie between 2048 and 2050, and 2048 is even.
    let matrix = TokenMatrix::new(&[0.1_f32, 2049.0, -65504.0, 6e-8], 2).unwrap();
    let bits: Vec<u16> = matrix.values().iter().map(|value| value.to_bits()).collect();
    assert_eq!(bits, [0x2e66, 0x6800, 0xfbff, 0x0001]);
    assert_eq!((matrix.tokens(), matrix.dim()), (2, 2));
}

#[test]
fn every_value_is_rounded_to_the_nearest_f16() {
    let mut rng = StdRng::seed_from_u64(5);
    for dim in 1..=40 {
        // Of all magnitudes that have a place in f16, those below its least too, and ties.
        let value = |_| match rng.random_range(0..3) {
            0 => f32::from_bits(rng.random_range(0..0x477f_e000) | rng.random::<u32>() << 31),
            1 => f32::from_bits(rng.random_range(0..0x477f_e000_u32) & !0xfff),
            _ => rng.random_range(-1.0..1.0),
        };
        let values: Vec<f32> = (0..50 * dim).map(value).collect();
        let matrix = TokenMatrix::new(&values, dim).unwrap();
        // Through f64, for which no instruction rounds to f16.
        let expected = values.iter().map(|value| f16::from_f64(f64::from(*value)).to_bits());
        assert!(matrix.values().iter().map(|value| value.to_bits()).eq(expected), "{dim}");
    }
}

#[test]
fn every_type_of_element_gives_the_same_matrix() {
    let values = [1.0_f32, -0.5, 0.25, 96.0];
    let expected = TokenMatrix::new(&values, 4).unwrap();
    assert_eq!(TokenMatrix::new(&values.map(f16::from_f32), 4).unwrap(), expected);
    assert_eq!(TokenMatrix::new(&values.map(bf16::from_f32), 4).unwrap(), expected);
    let halves = values.map(f16::from_f32);
    assert_eq!(TokenMatrixRef::new(&halves, 4).unwrap(), expected.view());
    assert_eq!(TokenMatrixRef::new(&halves, 4).unwrap().to_owned(), expected);
}

#[test]
fn normalized_rows_have_unit_length() {
    let values = [3.0_f32, 4.0, 0.0, 0.0, 1e30, 1e30, -1e-20, 0.0];
    let matrix = TokenMatrix::normalized(&values, 2).unwrap();
    let rows: Vec<[f32; 2]> =
        matrix.view().rows().map(|row| [row[0].to_f32(), row[1].to_f32()]).collect();
    let half = |value: f32| f16::from_f32(value).to_f32();
    let diagonal = half(std::f32::consts::FRAC_1_SQRT_2);
    assert_eq!(rows, [[half(0.6), half(0.8)], [0.0, 0.0], [diagonal, diagonal], [-1.0, 0.0]]);
}

#[test]
fn what_is_no_matrix_is_refused() {
    let refused = |values: &[f32], dim| TokenMatrix::new(values, dim).unwrap_err().to_string();
    assert_eq!(refused(&[], 3), "expected at least one token in item 0, got none");
    assert_eq!(refused(&[1.0], 0), "expected a dimension of at least 1, got 0");
    assert_eq!(
        refused(&[1.0; 5], 3),
        "expected a multiple of 3 values (the dimension), got 5 values"
    );
    assert_eq!(
        refused(&[1.0, 2.0, 3.0, f32::NAN], 3 - 1),
        "expected finite values, got NaN in row 1, column 1"
    );
    assert_eq!(
        refused(&[1.0, -70_000.0], 2),
        "expected values within f16's range (-65504 to 65504), got -70000 in row 0, column 1"
    );
}

#[test]
fn infinity_is_refused_from_every_type() {
    let infinite = Err::<(), _>(TokenMatrix::new(&[f16::INFINITY], 1).unwrap_err());
    assert!(matches!(infinite, Err(Error::NotFinite { row: 0, column: 0, .. })), "{infinite:?}");
    assert!(TokenMatrix::new(&[bf16::NEG_INFINITY], 1).is_err());
    assert!(TokenMatrix::normalized(&[f32::INFINITY, 1.0], 2).is_err());
    assert!(TokenMatrix::normalized(&[f32::NAN, 1.0], 2).is_err());
    assert!(TokenMatrixRef::new(&[f16::NAN], 1).is_err());
    assert!(TokenMatrixRef::new(&[], 1).is_err());
    assert!(DenseVectors::new(vec![1.0, f32::NAN], 2).is_err());
}

#[test]
fn packed_items_are_those_that_were_packed() {
    let packed = MultiVectors::new(&[1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[0, 1, 3], 2).unwrap();
    assert_eq!((packed.len(), packed.tokens(), packed.dim()), (2, 3, 2));
    let second = TokenMatrix::new(&[3.0_f32, 4.0, 5.0, 6.0], 2).unwrap();
    assert_eq!(packed.get(1), Some(second.view()));
    assert_eq!(packed.get(2), None);
    assert_eq!(packed.iter().map(|item| item.tokens()).collect::<Vec<_>>(), [1, 2]);

    let mut pushed = MultiVectors::empty(2).unwrap();
    packed.iter().for_each(|item| pushed.push(item).unwrap());
    assert_eq!(pushed, packed);
    let other = TokenMatrix::new(&[1.0_f32, 2.0, 3.0], 3).unwrap();
    assert!(matches!(pushed.push(other.view()), Err(Error::DimensionMismatch { .. })));
    assert_eq!(pushed, packed, "a push that fails changes nothing");
}

#[test]
fn a_value_that_is_no_number_is_named_by_item_row_and_column() {
    let mut values = [0.5_f32; 12];
    values[9] = f32::NAN;
    let told = "item 1: expected finite values, got NaN in row 3, column 1";
    let offsets = [0, 1, 6];
    let refused = MultiVectors::new(&values, &offsets, 2).unwrap_err();
    assert_eq!(refused.to_string(), told);
    assert_eq!(MultiVectors::normalized(&values, &offsets, 2).unwrap_err().to_string(), told);
    let halves = values.iter().map(|value| f16::from_f32(*value)).collect();
    let refused = MultiVectors::from_vec(halves, offsets.into(), 2).unwrap_err();
    assert_eq!(refused.to_string(), told);
    values[9] = -1e5;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let tokens = TensorView::new(Dtype::F32, vec![6, 2], &bytes).unwrap();
    let offsets = TensorView::new(Dtype::U8, vec![3], &[0, 1, 6]).unwrap();
    let tensors = [("tokens", tokens), ("offsets", offsets)];
    let file = safetensors::serialize(tensors, None).unwrap();
    assert_eq!(
        Interchange::from_bytes(&file).unwrap_err().to_string(),
        "item 1: expected values within f16's range (-65504 to 65504), got -100000 in row 3, column 1"
    );
}

/// Dimensions that no memory holds are errors, or nothing.
#[test]
fn enormous_dimensions_do_not_panic() {
    for dim in [usize::MAX, usize::MAX / 2 + 1, 1 << (usize::BITS - 3)] {
        assert!(TokenMatrix::new(&[0.5_f32], dim).is_err());
        assert!(TokenMatrix::normalized(&[0.5_f32], dim).is_err());
        assert!(TokenMatrix::normalized::<f32>(&[], dim).is_err());
        assert!(MultiVectors::normalized(&[0.5_f32], &[0, 1], dim).is_err());
        assert!(MultiVectors::new::<f32>(&[], &[0, u64::MAX], dim).is_err());
        let mut none = MultiVectors::normalized::<f32>(&[], &[0], dim).unwrap();
        assert!(none.push(TokenMatrix::new(&[0.5_f32], 1).unwrap().view()).is_err());
        let mut dense = DenseVectors::empty(dim).unwrap();
        assert!(dense.push(&[0.5]).is_err() && dense.get(usize::MAX).is_none());
    }
}

#[test]
fn offsets_that_are_no_partition_are_refused() {
    let refused = |offsets: &[u64]| {
        MultiVectors::new(&[1.0_f32; 8], offsets, 2).expect_err("offsets are wrong").to_string()
    };
    assert_eq!(refused(&[]), "expected 1 offsets or more, got 0");
    assert_eq!(refused(&[1, 4]), "expected offsets[0] to be 0, got 1");
    assert_eq!(refused(&[0, 3, 1, 4]), "expected offsets[2] to be between 4 and 4, got 1");
    assert_eq!(refused(&[0, 9]), "expected offsets[1] to be between 1 and 4, got 9");
    assert_eq!(refused(&[0, 3]), "expected offsets[1] to be 4, the number of rows, got 3");
    assert_eq!(refused(&[0, 2, 2, 4]), "expected at least one token in item 1, got none");
    let huge = u64::MAX.to_string();
    assert!(refused(&[0, u64::MAX]).contains(&huge));
}

#[test]
fn a_file_reads_back_as_it_was_written() {
    let tokens = MultiVectors::new(&[0.5_f32, 0.1, -3.0, 7.0], &[0, 1, 2], 2).unwrap();
    let dense = DenseVectors::new(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 3).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for dense in [None, Some(dense)] {
        let written = Interchange::new(tokens.clone()).dense(dense);
        let path = folder.path().join("vectors.safetensors");
        written.write(&path).unwrap();
        assert_eq!(Interchange::read(&path).unwrap(), written);
    }
}

/// Items of a file are read one by one, with all the digits that the file has.
#[test]
fn items_of_a_file_are_read_as_they_stand_there() {
    let mut rng = StdRng::seed_from_u64(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.safetensors");
    // Larger than what is read at once.
    let (rows, dim) = (3000, 100);
    let values: Vec<f32> = (0..rows * dim).map(|_| rng.random_range(-1e-9..1e-9)).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let offsets: Vec<u8> = [0_u64, 1, 2900, 3000].iter().flat_map(|at| at.to_le_bytes()).collect();
    let table = || TensorView::new(Dtype::F32, vec![rows, dim], &bytes).unwrap();
    let offsets = TensorView::new(Dtype::U64, vec![4], &offsets).unwrap();
    let tensors = [("tokens", table()), ("dense", table()), ("offsets", offsets)];
    std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();

    let mut tokens = VectorFile::tokens(&path).unwrap();
    assert_eq!((tokens.len(), tokens.dim()), (3, dim));
    for (item, range) in [(2, 2900..3000), (0, 0..1), (1, 1..2900)] {
        let expected = &values[range.start * dim..range.end * dim];
        assert!(tokens.get(item).unwrap().unwrap() == expected, "item {item}");
    }
    assert_eq!(tokens.get(3).unwrap(), None);
    let mut dense = VectorFile::dense(&path).unwrap();
    assert_eq!((dense.len(), dense.dim()), (rows, dim));
    assert!(dense.get(2999).unwrap().unwrap() == values[2999 * dim..]);
    assert_eq!(dense.get(3000).unwrap(), None);

    // Cut off while it is open.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_len(5000).unwrap();
    assert!(matches!(dense.get(2999), Err(Error::Io { .. })));
    assert!(matches!(VectorFile::dense(&path), Err(Error::InFile { .. })));
}

/// A file as another program might write it.
fn file(tokens: Dtype, token_bytes: &[u8], offsets: Dtype, offset_bytes: &[u8]) -> Vec<u8> {
    let items = offset_bytes.len() * 8 / offsets.bitsize();
    let tokens_view =
        TensorView::new(tokens, vec![token_bytes.len() * 8 / tokens.bitsize(), 1], token_bytes);
    let offsets_view = TensorView::new(offsets, vec![items], offset_bytes).unwrap();
    let tensors = [("tokens", tokens_view.unwrap()), ("offsets", offsets_view)];
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn files_may_hold_any_of_the_types() {
    let expected = MultiVectors::new(&[1.5_f32, -2.0], &[0, 1, 2], 1).unwrap();
    let values = [1.5_f32, -2.0];
    let f32s: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let f16s: Vec<u8> = values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
    let bf16s: Vec<u8> = values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect();
    let u8s = [0, 1, 2];
    for (dtype, bytes) in [(Dtype::F32, &f32s), (Dtype::F16, &f16s), (Dtype::BF16, &bf16s)] {
        let read = Interchange::from_bytes(&file(dtype, bytes, Dtype::U8, &u8s)).unwrap();
        assert_eq!(read.tokens, expected, "{dtype:?}");
    }
    for (dtype, size) in [
        (Dtype::I8, 1),
        (Dtype::U16, 2),
        (Dtype::I16, 2),
        (Dtype::U32, 4),
        (Dtype::I32, 4),
        (Dtype::U64, 8),
        (Dtype::I64, 8),
    ] {
        let offsets: Vec<u8> = (0..3_u64).flat_map(|x| x.to_le_bytes()[..size].to_vec()).collect();
        let read = Interchange::from_bytes(&file(Dtype::F32, &f32s, dtype, &offsets)).unwrap();
        assert_eq!(read.tokens, expected, "{dtype:?}");
    }
}

#[test]
fn tensors_of_another_type_or_shape_are_refused() {
    let bytes = file(Dtype::I32, &[0; 8], Dtype::U8, &[0, 2]);
    let error = Interchange::from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "expected tensor \"tokens\" to be F16, BF16 or F32 of shape [rows, columns], got I32 of shape [2, 1]"
    );
    let bytes = file(Dtype::F32, &[0; 8], Dtype::F32, &[0; 8]);
    let error = Interchange::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("\"offsets\"") && error.contains("F32 of shape [2]"), "{error}");
}

#[test]
fn dense_vectors_have_to_be_one_an_item() {
    let values = [0; 8];
    let view = |shape: &[usize]| TensorView::new(Dtype::F32, shape.to_vec(), &values).unwrap();
    let offsets = TensorView::new(Dtype::U8, vec![2], &[0, 2]).unwrap();
    let tensors = [("tokens", view(&[2, 1])), ("offsets", offsets), ("dense", view(&[2, 1]))];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let error = Interchange::from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(error, "expected 1 rows in \"dense\", got 2");
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.safetensors");
    let tokens = MultiVectors::new(&[0.5_f32, 0.1], &[0, 1, 2], 1).unwrap();
    let good = Interchange::new(tokens);
    good.write(&path).unwrap();
    let dense = DenseVectors::new(vec![0.1, 0.2, 0.3], 1).unwrap();
    let error = good.clone().dense(dense).write(&path).unwrap_err();
    assert_eq!(error.to_string(), "expected 2 rows in \"dense\", got 3");
    assert_eq!(Interchange::read(&path).unwrap(), good, "what was there is still there");
    assert!(good.write(folder.path()).is_err(), "a folder is no file");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
}

/// Cut anywhere, a file is an error or what it was, never a panic.
#[test]
fn damaged_files_do_not_panic() {
    let tokens = MultiVectors::new(&[0.5_f32; 64], &[0, 3, 16], 4).unwrap();
    let whole = Interchange::new(tokens).to_bytes().unwrap();
    for length in 0..whole.len() {
        assert!(Interchange::from_bytes(&whole[..length]).is_err(), "{length} bytes");
    }
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            // Some flips only change a value: whatever reads is a valid collection.
            if let Ok(read) = Interchange::from_bytes(&flipped) {
                assert!(read.tokens.iter().all(|item| item.tokens() > 0));
            }
        }
    }
}
