//! A node, and how near it is.

use super::NodeId;

/// A node and its nearness in one number, that of the nearest the greatest; of two as near, that of the
/// node that came first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Near(u64);

const SIGN: u32 = 1 << 31;

impl Near {
    pub(super) fn new(nearness: f32, node: NodeId) -> Self {
        Self(u64::from(ascending(nearness)) << 32 | u64::from(!node))
    }

    pub(super) fn nearness(self) -> f32 {
        let ascending = (self.0 >> 32) as u32;
        f32::from_bits(if ascending & SIGN == 0 { !ascending } else { ascending & !SIGN })
    }

    pub(super) fn node(self) -> NodeId {
        !(self.0 as u32)
    }
}

/// A number that rises with an f32, by one from each to the next.
pub(super) fn ascending(value: f32) -> u32 {
    let bits = value.to_bits();
    // As in f32::total_cmp: the bits of negative numbers count the wrong way.
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::Near;

    #[test]
    fn nearer_nodes_are_greater_and_say_what_they_are() {
        let values = [f32::MIN, -1.0, -1e-40, -0.0, 0.0, 1e-45, 0.5, f32::MAX];
        for pair in values.windows(2) {
            assert!(Near::new(pair[0], 3) < Near::new(pair[1], 7), "{pair:?}");
        }
        assert!(Near::new(0.5, 3) > Near::new(0.5, 4));
        for value in values {
            let near = Near::new(value, u32::MAX - 1);
            assert_eq!((near.nearness().to_bits(), near.node()), (value.to_bits(), u32::MAX - 1));
        }
    }
}
