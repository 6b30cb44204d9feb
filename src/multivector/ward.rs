//! Ward's clusters of unit vectors, by one minus their cosine, as scipy computes them.

/// The cluster of each row; at most `most` clusters, fewer where the last joins are equally far.
pub(super) fn clusters(values: &[f32], dim: usize, most: usize) -> Vec<usize> {
    let rows: Vec<&[f32]> = values.chunks_exact(dim).collect();
    if rows.len() <= most {
        return (0..rows.len()).collect();
    }
    let mut joins = Distances::of(&rows).joins();
    joins.sort_by(|a, b| a.distance.total_cmp(&b.distance));
    let farthest = joins[rows.len() - most - 1].distance;
    let mut parents: Vec<usize> = (0..rows.len()).collect();
    for Join { rows: [one, other], .. } in joins.iter().filter(|it| it.distance <= farthest) {
        let (one, other) = (root(&parents, *one), root(&parents, *other));
        parents[one.max(other)] = one.min(other);
    }
    (0..rows.len()).map(|row| root(&parents, row)).collect()
}

fn root(parents: &[usize], mut row: usize) -> usize {
    while parents[row] != row {
        row = parents[row];
    }
    row
}

/// Two clusters that become one, by a row of each.
struct Join {
    rows: [usize; 2],
    distance: f64,
}

/// Distances between clusters, each at the place of one of its rows.
struct Distances {
    values: Vec<f64>,
    /// Rows of each cluster; 0 of one that is a part of another.
    sizes: Vec<usize>,
}

impl Distances {
    fn of(rows: &[&[f32]]) -> Self {
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let distances = rows.iter().enumerate().flat_map(|(index, row)| {
            rows[..index].iter().map(move |other| f64::from(1.0 - cosine(row, other)))
        });
        Self { values: distances.collect(), sizes: vec![1; rows.len()] }
    }

    /// The place of a pair, of which only the half below the diagonal is kept.
    fn place(one: usize, other: usize) -> usize {
        let (less, more) = (one.min(other), one.max(other));
        more * (more - 1) / 2 + less
    }

    fn get(&self, one: usize, other: usize) -> f64 {
        self.values[Self::place(one, other)]
    }

    /// All joins, until there is one cluster: by a chain of nearest neighbours, which ends where two are each other's.
    fn joins(mut self) -> Vec<Join> {
        let count = self.sizes.len();
        let (mut joins, mut chain) = (Vec::new(), Vec::new());
        while joins.len() + 1 < count {
            let Some(&last) = chain.last() else {
                chain.extend(self.sizes.iter().position(|size| *size > 0));
                continue;
            };
            let before = chain.len().checked_sub(2).map(|index| chain[index]);
            let Some((nearest, distance)) = self.nearest(last, before) else { break };
            if before == Some(nearest) {
                chain.truncate(chain.len() - 2);
                self.join(last, nearest);
                joins.push(Join { rows: [last, nearest], distance });
            } else {
                chain.push(nearest);
            }
        }
        joins
    }

    /// The cluster nearest to one; of several, the one before it in the chain.
    fn nearest(&self, of: usize, before: Option<usize>) -> Option<(usize, f64)> {
        let others = (0..self.sizes.len()).filter(|it| *it != of && self.sizes[*it] > 0);
        let first = before.map(|it| (it, self.get(of, it)));
        others.map(|it| (it, self.get(of, it))).fold(first, |best, it| match best {
            Some(best) if best.1 <= it.1 => Some(best),
            _ => Some(it),
        })
    }

    /// Makes one cluster of two, at the place of the second.
    fn join(&mut self, gone: usize, kept: usize) {
        let [a, b] = [gone, kept].map(|it| self.sizes[it] as f64);
        let between = self.get(gone, kept).powi(2);
        for other in (0..self.sizes.len()).filter(|it| ![gone, kept].contains(it)) {
            let c = self.sizes[other] as f64;
            if c > 0.0 {
                let [from_a, from_b] = [gone, kept].map(|it| self.get(it, other).powi(2));
                let sum = (a + c) * from_a + (b + c) * from_b - c * between;
                self.values[Self::place(kept, other)] = (sum / (a + b + c)).sqrt();
            }
        }
        self.sizes[kept] += self.sizes[gone];
        self.sizes[gone] = 0;
    }
}
