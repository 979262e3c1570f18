//! Where the tasks of legacy servers live: the process or upstream session that each was begun in, by a number that clients
//! carry in their ids.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

/// The processes or sessions of one backend in which tasks were begun, as long as there are any.
#[derive(Debug)]
pub(crate) struct Homes<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    last: u64,
    homes: HashMap<u64, Weak<T>>,
}

impl<T> Default for Homes<T> {
    fn default() -> Self {
        Self(Mutex::new(State { last: 0, homes: HashMap::new() }))
    }
}

impl<T> Homes<T> {
    /// The number of `home`, which keeps it in `number` once it has one.
    pub(crate) fn enter(&self, home: &Arc<T>, number: &OnceLock<u64>) -> u64 {
        *number.get_or_init(|| {
            let mut state = self.0.lock();
            state.homes.retain(|_, home| home.strong_count() > 0);
            state.last += 1;
            let number = state.last;
            state.homes.insert(number, Arc::downgrade(home));
            number
        })
    }

    /// The one of this number, where it is still there.
    pub(crate) fn find(&self, number: u64) -> Option<Arc<T>> {
        self.0.lock().homes.get(&number)?.upgrade()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leads_to_one_home_as_long_as_it_is_there() {
        let homes = Homes::default();
        let (one, other) = (Arc::new("one"), Arc::new("other"));
        let (first, second) = (OnceLock::new(), OnceLock::new());
        let numbers = [homes.enter(&one, &first), homes.enter(&other, &second), homes.enter(&one, &first)];
        assert_eq!((numbers[0], numbers[0] == numbers[1]), (numbers[2], false));
        assert_eq!(homes.find(numbers[1]).as_deref(), Some(&"other"));
        drop(other);
        assert_eq!((homes.find(numbers[1]), homes.find(99)), (None, None));
        assert_eq!(homes.find(numbers[0]).as_deref(), Some(&"one"));
    }
}
