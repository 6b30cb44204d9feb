//! A vector that coded ones are compared with.

use super::coded::{Coded, Head, MOST_OF_QUERY, ROUNDED};
use super::instruction_set::InstructionSet;

/// A number that is near another one, and how far it may be from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nearly {
    pub(crate) value: f64,
    pub(crate) off: f64,
}

/// A vector that coded ones are compared with: its values are `scale · code`, nearly.
#[derive(Debug)]
pub(crate) struct CodedQuery {
    scale: f64,
    codes: Vec<i16>,
    /// The sum of the codes.
    sum: f64,
    /// The length of the vector of the values.
    norm: f64,
    /// Its distance from the vector itself.
    error: f64,
    /// Relative error of what is computed from the vectors themselves, in f32.
    rounding: f64,
}

impl CodedQuery {
    pub(crate) fn new(vector: &[f32]) -> Self {
        let most = vector.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let per_code = if most > 0.0 { MOST_OF_QUERY / most } else { 0.0 };
        let codes: Vec<_> = vector.iter().map(|value| (value * per_code) as i16).collect();
        let scale = f64::from(most) / f64::from(MOST_OF_QUERY);
        let (mut sum, mut squares, mut errors) = (0.0, 0.0, 0.0);
        for (&code, &value) in codes.iter().zip(vector) {
            let coded = scale * f64::from(code);
            sum += f64::from(code);
            squares += coded * coded;
            errors += (f64::from(value) - coded).powi(2);
        }
        let rounding = ROUNDED * vector.len() as f64;
        Self { scale, codes, sum, norm: squares.sqrt(), error: errors.sqrt(), rounding }
    }

    /// Calls `to` with the dot product of this one and each of some vectors.
    pub(crate) fn products<'c>(
        &self,
        coded: impl Iterator<Item = Coded<'c>>,
        mut to: impl FnMut(Nearly),
    ) {
        InstructionSet::detect().products(&self.codes, coded, |coded, products| {
            let (norm, error) = (f64::from(coded.head.norm), f64::from(coded.head.error));
            let query = self.norm + self.error;
            let off = query * error + self.error * norm + self.rounding * query * (norm + error);
            to(Nearly { value: self.product(coded.head, products), off });
        });
    }

    /// Calls `to` with the squared distance of this one and each of some vectors, and how far its root
    /// may be from the distance.
    pub(crate) fn squared_distances<'c>(
        &self,
        coded: impl Iterator<Item = Coded<'c>>,
        mut to: impl FnMut(Nearly),
    ) {
        InstructionSet::detect().products(&self.codes, coded, |coded, products| {
            let (norm, error) = (f64::from(coded.head.norm), f64::from(coded.head.error));
            let squares = self.norm * self.norm + norm * norm;
            // What rounding does to the squares, and to the distance itself.
            let rounded = (ROUNDED.sqrt() + self.rounding) * (self.norm + norm);
            let value = squares - 2.0 * self.product(coded.head, products);
            to(Nearly { value, off: error + self.error + rounded });
        });
    }

    #[inline(always)]
    fn product(&self, Head { first, step, .. }: Head, products: i32) -> f64 {
        self.scale * (f64::from(first) * self.sum + f64::from(step) * f64::from(products))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::{Coded, CodedQuery, Head, InstructionSet};

    fn vector(rng: &mut StdRng, dim: usize) -> Vec<f32> {
        let scale = 10.0_f32.powi(rng.random_range(-6..7));
        let from = [0.0, -1.0, -0.1, 5.0][rng.random_range(0..4)];
        (0..dim).map(|_| scale * rng.random_range(from..from + 1.5)).collect()
    }

    #[test]
    fn every_set_of_instructions_adds_up_the_same_products() {
        let mut rng = StdRng::seed_from_u64(1);
        for dim in (0..200).chain([4113]) {
            let extreme = rng.random_bool(0.2);
            let query: Vec<i16> = (0..dim)
                .map(|_| if extreme { 2047 } else { rng.random_range(-2047..2048) })
                .collect();
            let codes: Vec<u8> =
                (0..dim).map(|_| if extreme { 255 } else { rng.random() }).collect();
            let pairs = query.iter().zip(&codes);
            let expected: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
            for set in InstructionSet::available() {
                let coded = Coded { head: Head::default(), codes: &codes };
                let mut got = Vec::new();
                set.products(&query, [coded; 2].into_iter(), |_, it| got.push(i64::from(it)));
                assert_eq!(got, [expected; 2], "{set}, {dim}");
            }
        }
    }

    #[test]
    fn products_and_distances_are_no_farther_off_than_they_say() {
        let mut rng = StdRng::seed_from_u64(2);
        for round in 0..3000 {
            let dim = rng.random_range(1..300);
            let (a, b) = (vector(&mut rng, dim), vector(&mut rng, dim));
            let mut codes = vec![0; dim];
            let coded = Coded { head: Head::encode(&b, &mut codes), codes: &codes };
            let query = CodedQuery::new(&a);
            let pairs = || a.iter().zip(&b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
            let product: f64 = pairs().map(|(a, b)| a * b).sum();
            let distance = pairs().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
            query.products([coded].into_iter(), |it| {
                assert!((it.value - product).abs() <= it.off, "{round}: {it:?}, {product}");
            });
            query.squared_distances([coded].into_iter(), |it| {
                let root = it.value.max(0.0).sqrt();
                assert!((root - distance).abs() <= it.off, "{round}: {root}, {it:?}, {distance}");
            });
        }
    }
}
