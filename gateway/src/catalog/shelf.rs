//! One list of a catalog: its entries, and its pages as bytes.

use super::{Entry, Found, List, View, Visible};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use weir_protocol::list::write_page;

/// One list of a catalog.
#[derive(Debug)]
pub(crate) struct Shelf {
    list: List,
    pub(crate) entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, usize>,
    /// Names that several backends offer and nobody resolved: name → their names.
    pub(super) ambiguous: HashMap<String, Vec<String>>,
    page_size: usize,
    /// The pages of those who see everything.
    whole: Pages,
}

/// A rendered page: `{"tools":[…]`, and where the next one begins.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The place in the whole list from which on it shows what is visible.
    first: usize,
    body: Bytes,
    /// For legacy clients, where it differs.
    legacy: Option<Bytes>,
    /// For those that may begin tasks, where it differs from that.
    tasked: Option<Bytes>,
    /// Where the next page begins: a place in the whole list, whoever reads it.
    pub(crate) next: Option<usize>,
}

/// The pages of a list as somebody sees it.
#[derive(Debug, Default)]
pub(crate) struct Pages(Vec<Page>);

impl Page {
    /// The page as clients of `view` see it.
    pub(crate) fn body(&self, view: View) -> &Bytes {
        let legacy = self.legacy.as_ref().unwrap_or(&self.body);
        match view {
            View::Modern => &self.body,
            View::Legacy => legacy,
            View::LegacyTasks => self.tasked.as_ref().unwrap_or(legacy),
        }
    }
}

impl Pages {
    /// The page that begins at the place `first`.
    pub(crate) fn at(&self, first: usize) -> Option<&Page> {
        let at = self.0.binary_search_by_key(&first, |page| page.first).ok()?;
        self.0.get(at)
    }

    /// What they take in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let others =
            |page: &Page| [&page.legacy, &page.tasked].into_iter().flatten().map(Bytes::len).sum::<usize>();
        let of = |page: &Page| page.body.len() + others(page);
        self.0.iter().map(of).sum::<usize>() + self.0.len() * size_of::<Page>()
    }
}

impl Shelf {
    /// The shelf of `entries`, whose names are all different.
    pub(super) fn new(list: List, entries: Vec<Entry>) -> Self {
        let by_name = entries.iter().enumerate().map(|(at, entry)| (entry.exposed.clone(), at)).collect();
        Self { list, entries, by_name, ambiguous: HashMap::new(), page_size: 1, whole: Pages::default() }
    }

    /// Writes the pages of those who see everything.
    pub(super) fn render(&mut self, page_size: usize) {
        self.page_size = page_size.max(1);
        self.whole = self.pages(|_| true);
    }

    /// The pages of those who see everything.
    pub(crate) fn whole(&self) -> &Pages {
        &self.whole
    }

    /// The pages of those who see `visible` of it.
    pub(crate) fn pages_of(&self, visible: &Visible) -> Pages {
        self.pages(|at| visible.has(at))
    }

    /// The page of what is `visible` from the place `first` on, wherever that is; `None` behind the end.
    pub(crate) fn page_from(&self, visible: &Visible, first: usize) -> Option<Page> {
        (first < self.entries.len()).then(|| self.page(first, &|at| visible.has(at)))
    }

    fn pages(&self, sees: impl Fn(usize) -> bool) -> Pages {
        let first = self.page(0, &sees);
        let pages = std::iter::successors(Some(first), |page| Some(self.page(page.next?, &sees)));
        Pages(pages.collect())
    }

    fn page(&self, first: usize, sees: &impl Fn(usize) -> bool) -> Page {
        let mut seen = (first..self.entries.len()).filter(|&at| sees(at));
        let items: Vec<&Entry> =
            seen.by_ref().take(self.page_size).filter_map(|at| self.entries.get(at)).collect();
        let key = self.list.key();
        let write = |view| write_page(key, items.iter().map(|entry| &entry.seen(view)[..]));
        Page {
            first,
            body: write(View::Modern),
            legacy: items.iter().any(|entry| entry.legacy.is_some()).then(|| write(View::Legacy)),
            tasked: items.iter().any(|entry| entry.tasked.is_some()).then(|| write(View::LegacyTasks)),
            next: seen.next(),
        }
    }

    /// What this name or URI leads to.
    pub(super) fn find(&self, name: &str) -> Found<'_> {
        match self.by_name.get(name).and_then(|&at| self.entries.get(at)) {
            Some(entry) => Found::Entry(entry),
            None => match self.ambiguous.get(name) {
                Some(backends) => Found::Ambiguous(backends),
                None => Found::Nothing,
            },
        }
    }
}
