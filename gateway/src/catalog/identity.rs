//! By which name policies know a resource, however a client writes its URI.

use super::{Catalog, Entry, Found, List, uri};
use crate::decision::Identity;
use std::borrow::Cow;
use std::collections::HashMap;

/// Resources by their backend and the normal form of their URI, as places in their list.
pub(super) type Spellings = HashMap<(usize, String), usize>;

impl Catalog {
    /// That of a listed resource.
    pub(crate) fn identity_of<'a>(&'a self, entry: &'a Entry) -> Identity<'a> {
        let original = &*entry.original;
        let uri = uri::normal_form(original).map_or(Cow::Borrowed(original), Cow::Owned);
        Identity { name: Cow::Borrowed(&entry.exposed), original, uri, backend: entry.backend }
    }

    /// That of the resource which the backend at `owner` knows by the URI `original`: the listed one, if there is one that
    /// this may be another spelling of, else what the URI itself says. `None` where nobody can say what the URI means.
    pub(crate) fn identity<'a>(&'a self, owner: usize, original: &'a str) -> Option<Identity<'a>> {
        let shelf = self.shelf(List::Resources);
        if let Found::Entry(entry) = shelf.find(&self.exposed_uri(owner, original))
            && entry.backend == owner
        {
            return Some(self.identity_of(entry));
        }
        let key = (owner, uri::normal_form(original)?);
        let spelled = self.spellings().get(&key).and_then(|&at| shelf.entries.get(at));
        Some(match spelled {
            Some(entry) => self.identity_of(entry),
            None => {
                let uri = key.1;
                let name = self.exposed_uri(owner, &uri).into_owned();
                Identity { name: name.into(), original, uri: uri.into(), backend: owner }
            }
        })
    }

    /// Made when they are first asked for: where nothing is decided, nobody does.
    fn spellings(&self) -> &Spellings {
        self.spellings.get_or_init(|| {
            let mut spellings = Spellings::new();
            for (at, entry) in self.shelf(List::Resources).entries.iter().enumerate() {
                if let Some(uri) = uri::normal_form(&entry.original) {
                    spellings.entry((entry.backend, uri)).or_insert(at);
                }
            }
            spellings
        })
    }
}
