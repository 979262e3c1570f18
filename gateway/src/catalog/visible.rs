//! Which entries of a list somebody sees.

use std::sync::Arc;

/// One bit for each entry of a shelf, in its order. Cheap to clone and to compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Visible(Arc<[u64]>);

impl Visible {
    /// Of `count` entries those that `sees` says yes to.
    pub(crate) fn of(count: usize, mut sees: impl FnMut(usize) -> bool) -> Self {
        let words = (0..count.div_ceil(64)).map(|word| {
            let bits = (word * 64..count.min(word * 64 + 64)).filter(|&at| sees(at));
            bits.fold(0, |bits, at| bits | 1 << (at % 64))
        });
        Self(words.collect())
    }

    /// Whether the entry at `at` is one of them.
    pub(crate) fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// What it takes in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.0.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_the_entries() {
        for count in [0, 1, 63, 64, 65, 130] {
            let thirds = Visible::of(count, |at| at % 3 == 0);
            let read: Vec<usize> = (0..count + 70).filter(|&at| thirds.has(at)).collect();
            assert_eq!(read, (0..count).step_by(3).collect::<Vec<_>>());
            assert_eq!(thirds.count(), read.len());
            assert_eq!(thirds, Visible::of(count, |at| thirds.has(at)));
            assert_eq!(Visible::of(count, |_| true).count(), count);
        }
    }
}
