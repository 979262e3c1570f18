//! Where the tasks of legacy servers live: the process or upstream session that each was begun in, by a number that clients
//! carry in their ids.

use crate::SessionKey;
use crate::departed::Departed;
use crate::errand::Home;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak};

/// Most tasks of one client session that end with it; of more the oldest are left to their server.
const MOST: usize = 256;

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

/// Which tasks client sessions have begun where they share a process or an upstream session: nobody reaches them any more once
/// their session has ended.
#[derive(Debug, Default)]
pub(crate) struct Owners(Mutex<Owned>);

/// A task, and where it lives.
type Begun = (Weak<dyn Home>, Arc<str>);

#[derive(Debug, Default)]
struct Owned {
    of: HashMap<SessionKey, VecDeque<Begun>>,
    /// A late call of theirs may still become a task.
    departed: Departed,
}

impl Owners {
    /// A task was begun. Whose session has ended meanwhile does not need it any more.
    fn add(&self, session: SessionKey, home: &Arc<dyn Home>, id: Arc<str>) {
        {
            let mut owned = self.0.lock();
            if !owned.departed.contains(session) {
                let own = owned.of.entry(session).or_default();
                own.push_back((Arc::downgrade(home), id));
                if own.len() > MOST {
                    own.pop_front();
                }
                return;
            }
        }
        home.clone().end_task(id);
    }

    /// A client session has ended: its tasks that are under way are ended too.
    pub(crate) fn end(&self, session: SessionKey) {
        let own = {
            let mut owned = self.0.lock();
            owned.departed.add(session);
            owned.of.remove(&session).unwrap_or_default()
        };
        for (home, id) in own {
            if let Some(home) = home.upgrade().filter(|home| home.pending().has_task(&id)) {
                home.end_task(id);
            }
        }
    }
}

/// What there is to know of a call that becomes a task of its client's.
#[derive(Debug)]
pub(crate) struct Becoming {
    /// The number of the place where the task will live.
    pub(crate) number: u64,
    /// Whose it will be, where others share that place.
    pub(crate) owner: Option<(SessionKey, Arc<Owners>)>,
}

impl Becoming {
    /// The task lives at `home`, and its server knows it as `id`.
    pub(crate) fn begun(&self, home: &Arc<dyn Home>, id: Arc<str>) {
        if let Some((session, owners)) = &self.owner {
            owners.add(*session, home, id);
        }
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
