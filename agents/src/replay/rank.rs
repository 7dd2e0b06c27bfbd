//! Rank-based priorities (Schaul 2015, arXiv 1511.05952, sections 3.3 and B.2.1).

/// Slots approximately sorted by error, largest first: a binary heap that is fully sorted now and then.
///
/// Rank `r`, counted from 1, has probability `r^-alpha / sum_k k^-alpha`.
#[derive(Debug)]
pub(super) struct Ranks {
    alpha: f64,
    /// The slots; a parent's error is at least that of its children.
    heap: Vec<u32>,
    /// The position of each slot in the heap.
    places: Vec<u32>,
    errors: Vec<f32>,
    /// `cumulative[r]` is the sum of `k^-alpha` over the ranks up to `r`, as far as ranks have been used.
    cumulative: Vec<f64>,
    /// New slots since the last full sort.
    additions: usize,
}

/// The position of a slot that is not in the heap.
const NOWHERE: u32 = u32::MAX;

impl Ranks {
    pub(super) fn new(slots: usize, alpha: f64) -> Self {
        Self {
            alpha,
            heap: Vec::new(),
            places: vec![NOWHERE; slots],
            errors: vec![0.0; slots],
            cumulative: vec![0.0],
            additions: 0,
        }
    }

    pub(super) fn error(&self, slot: usize) -> f32 {
        self.errors[slot]
    }

    /// Sets the error of a slot, adding it if needed. Sorts fully after as many additions as there are slots.
    pub(super) fn set(&mut self, slot: usize, error: f32) {
        self.errors[slot] = error;
        if self.places[slot] == NOWHERE {
            self.places[slot] = self.heap.len() as u32;
            self.heap.push(slot as u32);
            self.extend_ranks();
            self.additions += 1;
        }
        self.settle(self.places[slot] as usize);
        if self.additions >= self.places.len() {
            self.sort();
        }
    }

    /// Removes a slot.
    pub(super) fn remove(&mut self, slot: usize) {
        let place = self.places[slot];
        if place == NOWHERE {
            return;
        }
        self.places[slot] = NOWHERE;
        self.heap.swap_remove(place as usize);
        if let Some(&moved) = self.heap.get(place as usize) {
            self.places[moved as usize] = place;
            self.settle(place as usize);
        }
    }

    pub(super) fn sort(&mut self) {
        let errors = &self.errors;
        self.heap
            .sort_by(|a, b| errors[*b as usize].total_cmp(&errors[*a as usize]));
        for (place, slot) in self.heap.iter().enumerate() {
            self.places[*slot as usize] = place as u32;
        }
        self.additions = 0;
    }

    /// Restores the heap property around `place`.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.at(place) > self.at((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                return;
            }
            let right = left + 1;
            let larger = if right < self.heap.len() && self.at(right) > self.at(left) {
                right
            } else {
                left
            };
            if self.at(larger) <= self.at(place) {
                return;
            }
            self.swap(place, larger);
            place = larger;
        }
    }

    fn at(&self, place: usize) -> f32 {
        self.errors[self.heap[place] as usize]
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a] as usize] = a as u32;
        self.places[self.heap[b] as usize] = b as u32;
    }

    /// Finds the slot at the cumulative probability `at`, from 0 to 1, and returns it with its own probability.
    pub(super) fn find(&self, at: f64) -> (usize, f64) {
        let ranks = &self.cumulative[..=self.heap.len()];
        let total = ranks[ranks.len() - 1];
        let rank = ranks.partition_point(|sum| *sum <= at * total).min(self.heap.len());
        let slot = self.heap[rank - 1] as usize;
        (slot, (rank as f64).powf(-self.alpha) / total)
    }

    /// The probability of the last rank.
    pub(super) fn least_probability(&self) -> f64 {
        let n = self.heap.len();
        (n as f64).powf(-self.alpha) / self.cumulative[n]
    }

    /// The slots in heap order.
    pub(super) fn order(&self) -> &[u32] {
        &self.heap
    }

    /// New slots since the last full sort.
    pub(super) fn additions(&self) -> usize {
        self.additions
    }

    /// Restores the order of slots with their errors and the number of additions. Returns false and changes nothing
    /// if the order is invalid.
    pub(super) fn restore(&mut self, order: &[u32], errors: &[f32], additions: usize) -> bool {
        let mut places = vec![NOWHERE; self.places.len()];
        for (place, slot) in order.iter().enumerate() {
            match places.get_mut(*slot as usize) {
                Some(free) if *free == NOWHERE => *free = place as u32,
                _ => return false,
            }
        }
        let is_heap = (1..errors.len()).all(|place| errors[(place - 1) / 2] >= errors[place]);
        if !is_heap || errors.iter().any(|error| !error.is_finite()) {
            return false;
        }
        self.places = places;
        self.heap = order.to_vec();
        self.additions = additions;
        for (slot, error) in order.iter().zip(errors) {
            self.errors[*slot as usize] = *error;
        }
        self.extend_ranks();
        true
    }

    fn extend_ranks(&mut self) {
        while self.cumulative.len() <= self.heap.len() {
            let rank = self.cumulative.len();
            self.cumulative
                .push(self.cumulative[rank - 1] + (rank as f64).powf(-self.alpha));
        }
    }

    /// The memory used, in bytes.
    pub(super) fn bytes(&self) -> usize {
        4 * (self.heap.len() + self.places.len() + self.errors.len()) + 8 * (self.heap.len() + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn probabilities_are_those_of_the_paper() {
        let mut ranks = Ranks::new(4, 1.0);
        for (slot, error) in [0.5, 9.0, 2.0].into_iter().enumerate() {
            ranks.set(slot, error);
        }
        ranks.sort();
        // Ranks 1, 2 and 3 of slots 1, 2 and 0; 1 + 1/2 + 1/3 = 11/6.
        let near =
            |(slot, p): (usize, f64), expected: (usize, f64)| slot == expected.0 && (p - expected.1).abs() < 1e-12;
        assert!(near(ranks.find(0.0), (1, 6.0 / 11.0)) && near(ranks.find(0.54), (1, 6.0 / 11.0)));
        assert!(near(ranks.find(0.55), (2, 3.0 / 11.0)) && near(ranks.find(0.82), (0, 2.0 / 11.0)));
        assert!(near(ranks.find(1.0), (0, 2.0 / 11.0)));
        assert!((ranks.least_probability() - 2.0 / 11.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_holds_in_the_order_of_a_heap(
            operations in prop::collection::vec((0usize..17, prop::option::weighted(0.8, 0u8..9)), 1..300)
        ) {
            let mut ranks = Ranks::new(17, 0.7);
            let mut map = BTreeMap::new();
            for (slot, error) in operations {
                match error {
                    Some(error) => {
                        ranks.set(slot, f32::from(error));
                        map.insert(slot, f32::from(error));
                    }
                    None => {
                        ranks.remove(slot);
                        map.remove(&slot);
                    }
                }
                let mut held: Vec<usize> = ranks.heap.iter().map(|slot| *slot as usize).collect();
                for (place, slot) in held.iter().enumerate() {
                    prop_assert_eq!(ranks.places[*slot] as usize, place);
                    prop_assert_eq!(ranks.errors[*slot], map[slot]);
                    prop_assert!(place == 0 || ranks.at((place - 1) / 2) >= ranks.at(place));
                }
                held.sort_unstable();
                prop_assert_eq!(held, map.keys().copied().collect::<Vec<_>>());
            }
            ranks.sort();
            let order: Vec<f32> = (0..ranks.heap.len()).map(|place| ranks.at(place)).collect();
            let mut expected: Vec<f32> = map.values().copied().collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(order, expected);
        }
    }
}
