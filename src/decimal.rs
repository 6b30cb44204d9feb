//! f32 in output, where f64 is all that there is.

/// The f64 that is written with the digits of this f32, which are as few as tell it apart: 0.1, and not
/// 0.10000000149011612. Rounded to f32 it is the same number, and the order of numbers is kept.
pub(crate) fn spelled(value: f32) -> f64 {
    zmij::Buffer::new().format(value).parse().unwrap_or_else(|_| f64::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_value_and_order_are_kept() {
        let mut values: Vec<f32> =
            (0..=u32::MAX / 4097).map(|at| f32::from_bits(at * 4097)).collect();
        values.extend([0.1, -0.0, f32::MIN_POSITIVE, f32::MAX]);
        values.retain(|value| value.is_finite());
        values.sort_by(f32::total_cmp);
        values.dedup_by_key(|value| value.to_bits());
        for pair in values.windows(2) {
            let [a, b] = [spelled(pair[0]), spelled(pair[1])];
            assert!(a.total_cmp(&b).is_lt(), "{pair:?}");
            assert_eq!((b as f32).to_bits(), pair[1].to_bits());
            // Where two numbers of as few digits are as near, it may be either.
            assert!(b.to_string().len() <= pair[1].to_string().len(), "{b} {}", pair[1]);
        }
        assert!(spelled(f32::INFINITY).is_infinite() && spelled(f32::NAN).is_nan());
    }
}
