//! Binary trees whose nodes hold the sum or the minimum of their children.

/// A binary tree over numbers. Each node is always recomputed from its children, never adjusted by a difference, so
/// rounding errors do not accumulate.
///
/// ```text
/// nodes   1
///       2   3
///      4 5 6 7    the leaves: leaf i is node `leaves + i`
/// ```
#[derive(Debug)]
pub(super) struct Tree {
    leaves: usize,
    nodes: Vec<f64>,
    combine: fn(f64, f64) -> f64,
}

impl Tree {
    /// Creates a sum tree over `leaves` zeros.
    pub(super) fn of_sums(leaves: usize) -> Self {
        Self::new(leaves, 0.0, |a, b| a + b)
    }

    /// Creates a min tree over `leaves` infinities.
    pub(super) fn of_minima(leaves: usize) -> Self {
        Self::new(leaves, f64::INFINITY, f64::min)
    }

    fn new(leaves: usize, empty: f64, combine: fn(f64, f64) -> f64) -> Self {
        let leaves = leaves.next_power_of_two();
        Self {
            leaves,
            nodes: vec![empty; 2 * leaves],
            combine,
        }
    }

    pub(super) fn get(&self, leaf: usize) -> f64 {
        self.nodes[self.leaves + leaf]
    }

    pub(super) fn set(&mut self, leaf: usize, value: f64) {
        let mut node = self.leaves + leaf;
        self.nodes[node] = value;
        while node > 1 {
            node /= 2;
            self.nodes[node] = (self.combine)(self.nodes[2 * node], self.nodes[2 * node + 1]);
        }
    }

    /// All leaves, padded to a power of two.
    pub(super) fn leaves(&self) -> &[f64] {
        &self.nodes[self.leaves..]
    }

    /// The sum or minimum of all leaves.
    pub(super) fn root(&self) -> f64 {
        self.nodes[1]
    }

    /// In a sum tree, finds the leaf that contains `at` when the leaves are laid end to end. Never returns a leaf
    /// with value 0, unless all are 0.
    pub(super) fn find(&self, mut at: f64) -> usize {
        let mut node = 1;
        while node < self.leaves {
            let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
            // Rounding may leave `at` a little beyond the end.
            node = if at < left || right == 0.0 {
                2 * node
            } else {
                at -= left;
                2 * node + 1
            };
        }
        node - self.leaves
    }

    /// The memory used, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_falls_into_the_leaf_that_covers_it() {
        let mut tree = Tree::of_sums(5);
        for (leaf, value) in [3.0, 0.0, 1.0, 0.0, 2.0].into_iter().enumerate() {
            tree.set(leaf, value);
        }
        assert_eq!(tree.root(), 6.0);
        assert_eq!(
            [0.0, 2.9, 3.0, 3.9, 4.0, 5.9, 6.0, 7.0].map(|at| tree.find(at)),
            [0, 0, 2, 2, 4, 4, 4, 4]
        );
    }

    proptest! {
        #[test]
        fn it_answers_as_a_list_does(operations in prop::collection::vec((0usize..13, 0u8..50), 1..200)) {
            let (mut sums, mut minima) = (Tree::of_sums(13), Tree::of_minima(13));
            let mut list = [0.0; 13];
            for (leaf, value) in operations {
                let value = f64::from(value);
                list[leaf] = value;
                sums.set(leaf, value);
                minima.set(leaf, if value > 0.0 { value } else { f64::INFINITY });
                prop_assert_eq!(sums.root(), list.iter().sum::<f64>());
                let least = list.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                prop_assert_eq!(minima.root(), least);
                for at in 0..sums.root() as usize {
                    let mut end = 0.0;
                    let expected = list.iter().position(|value| { end += value; (at as f64) < end });
                    prop_assert_eq!(Some(sums.find(at as f64)), expected);
                }
            }
        }
    }

    #[test]
    fn after_many_updates_every_node_is_the_sum_of_its_children() {
        use rand::RngExt;
        let mut rng = coinop_envs::rng::stream(1, "test", 0);
        let mut tree = Tree::of_sums(1000);
        for _ in 0..100_000 {
            tree.set(rng.random_range(0..1000), rng.random::<f64>().powi(9));
        }
        for node in 1..tree.leaves {
            assert_eq!(tree.nodes[node], tree.nodes[2 * node] + tree.nodes[2 * node + 1]);
        }
    }
}
