//! What callers see of the lists: decided once for all whom the policies cannot tell apart, and written once for all who see
//! the same.

use crate::catalog::{Catalog, List, Page, Pages, View, Visible};
use crate::decision;
use crate::endpoint::Endpoint;
use moka::sync::Cache as Store;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use weir_policies::{ClassKey, Principal};

/// What is known of who sees what, in bytes.
const DECIDED: u64 = 16 << 20;

/// How often is known whether somebody could use something of a backend.
const USABLE: u64 = 16_384;

/// Pages that are kept for those who do not see everything, in bytes.
const WRITTEN: u64 = 64 << 20;

/// What an entry takes beside its content, about.
const OVERHEAD: usize = 256;

/// What callers see, over all endpoints. Nothing in it becomes wrong: whatever changes has another generation.
#[derive(Debug)]
pub(crate) struct Visibility {
    decided: Store<Class, Arc<Sight>>,
    usable: Store<Usable, bool>,
    written: Store<Written, Arc<Pages>>,
    digests: RandomState,
}

/// Callers whom the policies of an endpoint cannot tell apart, before one of its lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Class {
    place: Place,
    policies: u64,
    key: ClassKey,
}

/// One list of one catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    endpoint: usize,
    catalog: u64,
    list: List,
}

/// Persons whom the policies of an endpoint cannot tell apart, before one of its backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Usable {
    endpoint: usize,
    catalog: u64,
    owner: usize,
    policies: u64,
    key: ClassKey,
}

/// Everybody who sees these entries of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Written {
    place: Place,
    visible: Visible,
}

/// What somebody sees of a list.
#[derive(Debug)]
pub(crate) struct Sight {
    place: Place,
    /// `None` where that is everything.
    visible: Option<Visible>,
    /// The backends that something of it is from.
    owners: Visible,
    /// The same as another's where that one looks the same, whatever lies hidden.
    digest: u64,
}

impl Default for Visibility {
    fn default() -> Self {
        let size = |size: usize| u32::try_from(size + OVERHEAD).unwrap_or(u32::MAX);
        let decided = move |_: &Class, sight: &Arc<Sight>| {
            size(sight.visible.as_ref().map_or(0, Visible::size) + sight.owners.size())
        };
        let written = move |key: &Written, pages: &Arc<Pages>| size(key.visible.size() + pages.size());
        Self {
            decided: Store::builder().max_capacity(DECIDED).weigher(decided).build(),
            usable: Store::new(USABLE),
            written: Store::builder().max_capacity(WRITTEN).weigher(written).build(),
            digests: RandomState::new(),
        }
    }
}

impl Visibility {
    /// What a caller sees of a list of `catalog`, which is one of `endpoint`; `None` where the policies show everybody
    /// everything.
    pub(crate) fn sight(
        &self,
        endpoint: &Endpoint,
        catalog: &Catalog,
        list: List,
        principal: &Principal,
    ) -> Option<Arc<Sight>> {
        if endpoint.policies.are_open() {
            return None;
        }
        let place = Place { endpoint: endpoint.number, catalog: catalog.generation, list };
        let policies = endpoint.policies.generation();
        let class = Class { place, policies, key: endpoint.policies.class(principal) };
        // Of those who come at once one decides, and the others wait for it.
        Some(self.decided.get_with(class, || Arc::new(self.look(endpoint, catalog, place, principal))))
    }

    /// Whether a person could use something of the backend at `owner`. It may take long.
    pub(crate) fn could_use(&self, endpoint: &Endpoint, owner: usize, person: &Principal) -> bool {
        let catalog = endpoint.catalog();
        let policies = &endpoint.policies;
        let key = Usable {
            endpoint: endpoint.number,
            catalog: catalog.generation,
            owner,
            policies: policies.generation(),
            key: policies.class_of_person(person),
        };
        self.usable.get_with(key, || decision::could_use(endpoint, &catalog, owner, person))
    }

    fn look(&self, endpoint: &Endpoint, catalog: &Catalog, place: Place, principal: &Principal) -> Sight {
        let entries = &catalog.shelf(place.list).entries;
        let visible = Visible::of(entries.len(), |at| {
            let entry = entries.get(at);
            let sees = |entry| {
                decision::sees(&endpoint.spec, &endpoint.policies, catalog, (place.list, entry), principal)
            };
            entry.is_some_and(sees)
        });
        let seen = || entries.iter().enumerate().filter(|(at, _)| visible.has(*at)).map(|(_, entry)| entry);
        let mut digest = self.digests.build_hasher();
        for part in seen().flat_map(|entry| View::ALL.map(|view| entry.seen(view))) {
            digest.write_usize(part.len());
            digest.write(part);
        }
        Sight {
            place,
            owners: Visible::of(endpoint.backends.len(), |at| seen().any(|entry| entry.backend == at)),
            digest: digest.finish(),
            visible: (visible.count() < entries.len()).then_some(visible),
        }
    }

    /// The page of what `sight` shows that begins at the place `first` of its list; `None` where none does.
    pub(crate) fn page(
        &self,
        sight: Option<&Sight>,
        catalog: &Catalog,
        list: List,
        first: usize,
    ) -> Option<Page> {
        let shelf = catalog.shelf(list);
        let Some((place, visible)) = sight.and_then(|sight| Some((sight.place, sight.visible.as_ref()?)))
        else {
            return shelf.whole().at(first).cloned();
        };
        let key = Written { place, visible: visible.clone() };
        let pages = self.written.get_with(key, || Arc::new(shelf.pages_of(visible)));
        // What a caller sees may have changed since its cursor was written; the place is still one.
        pages.at(first).cloned().or_else(|| shelf.page_from(visible, first))
    }

    /// Whether a caller sees something of each backend, by the backends' index.
    pub(crate) fn owners(
        &self,
        endpoint: &Endpoint,
        catalog: &Catalog,
        principal: &Principal,
    ) -> impl Fn(usize) -> bool + use<> {
        let sights = List::ALL.map(|list| self.sight(endpoint, catalog, list, principal));
        move |at| sights.iter().any(|sight| sight.as_ref().is_none_or(|sight| sight.owners.has(at)))
    }
}

impl Sight {
    /// Differs from another's as soon as that one looks different.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }
}
