//! Selection of the best of each list of scores on the device. No GPU in it.
//!
//! A list is cut into blocks. A pass leaves the best of each block, so that a list has at most half
//! as many entries afterwards; passes are repeated until each list is one block, whose best are the
//! list's.

use std::ops::Range;

use super::shader::Block;

/// Entries of a block: `BLOCK` in `top_k.wgsl`.
pub(super) const BLOCK: usize = 2048;

/// The most that can be kept of a list: a pass has to halve it at least. Where more are wanted, all
/// scores are read and sorted by the CPU.
pub(super) const MOST_KEPT: usize = BLOCK / 2;

/// The passes over some lists that lie one after the other.
#[derive(Debug)]
pub(super) struct Passes {
    /// All blocks, pass after pass.
    pub blocks: Vec<Block>,
    /// Blocks of each pass.
    pub passes: Vec<Range<usize>>,
    /// Entries of the best of each list, after the last pass.
    pub kept: Vec<Range<usize>>,
    /// Entries that any pass leaves at most.
    pub entries: usize,
}

impl Passes {
    /// Keeps the best `keep` of lists of these lengths, none of which is 0; `keep` is from 1 to
    /// [`MOST_KEPT`].
    pub(super) fn new(lists: impl Iterator<Item = usize>, keep: usize) -> Self {
        let mut passes =
            Self { blocks: Vec::new(), passes: Vec::new(), kept: Vec::new(), entries: 0 };
        let mut lists = one_after_another(lists);
        loop {
            let is_last = lists.iter().all(|list| list.len() <= BLOCK);
            lists = passes.add(&lists, keep);
            if is_last {
                passes.kept = lists;
                return passes;
            }
        }
    }

    /// Adds a pass; returns what is left of the lists.
    fn add(&mut self, lists: &[Range<usize>], keep: usize) -> Vec<Range<usize>> {
        let first = self.blocks.len();
        let mut next = 0;
        let mut left = Vec::new();
        for list in lists {
            let first_out = next;
            for start in list.clone().step_by(BLOCK) {
                let count = BLOCK.min(list.end - start);
                let keep = keep.min(count);
                // They fit u32: a round's pairs fit a binding.
                self.blocks.push(Block {
                    first: start as u32,
                    count: count as u32,
                    first_out: next as u32,
                    keep: keep as u32,
                });
                next += keep;
            }
            left.push(first_out..next);
        }
        self.passes.push(first..self.blocks.len());
        self.entries = self.entries.max(next);
        left
    }
}

fn one_after_another(lengths: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let mut next = 0;
    let list = |length| {
        next += length;
        next - length..next
    };
    lengths.map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::prelude::*;

    /// Does with a block what the shader does.
    fn run(block: &Block, from: &[(u32, u32)], to: &mut [(u32, u32)]) {
        let (first, count) = (block.first as usize, block.count as usize);
        assert!((1..=BLOCK).contains(&count) && block.keep <= block.count);
        let mut sorted = from[first..first + count].to_vec();
        sorted.sort_by_key(|&(score, pair)| (std::cmp::Reverse(score), pair));
        let (first_out, keep) = (block.first_out as usize, block.keep as usize);
        to[first_out..first_out + keep].copy_from_slice(&sorted[..keep]);
    }

    #[test]
    fn passes_leave_the_best_of_each_list() {
        let mut rng = StdRng::seed_from_u64(1);
        for lengths in [vec![1], vec![2_048, 3], vec![100_000, 1, 5_000], vec![7_000; 5]] {
            for keep in [1, 10, MOST_KEPT] {
                let pairs = lengths.iter().sum::<usize>() as u32;
                let scores: Vec<_> =
                    (0..pairs).map(|pair| (rng.random_range(0..500u32), pair)).collect();
                let passes = Passes::new(lengths.iter().copied(), keep);
                let mut entries = scores.clone();
                for pass in &passes.passes {
                    let mut left = vec![(0, 0); passes.entries];
                    passes.blocks[pass.clone()].iter().for_each(|it| run(it, &entries, &mut left));
                    entries = left;
                }
                let mut first = 0;
                for (length, kept) in lengths.iter().zip(&passes.kept) {
                    let mut expected = scores[first..first + length].to_vec();
                    expected.sort_by_key(|&(score, pair)| (std::cmp::Reverse(score), pair));
                    expected.truncate(keep);
                    assert_eq!(entries[kept.clone()], expected);
                    first += length;
                }
            }
        }
    }

    #[test]
    fn a_thousand_candidates_take_one_pass() {
        assert_eq!(Passes::new([1_000].into_iter(), 10).passes.len(), 1);
        assert_eq!(Passes::new([100_000].into_iter(), 10).passes.len(), 2);
    }
}
