//! The merged, conflict-resolved view of an endpoint's tools, prompts, resources and templates: one immutable snapshot.

mod build;
mod filter;
mod names;
mod template;
mod uri;

pub(crate) use build::{Conflict, Stock, build};

use bytes::Bytes;
use filter::UriFilter;
use std::collections::HashMap;
use std::sync::Arc;
use template::Template;
use weir_protocol::list::write_page;

/// The lists of a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

impl List {
    pub(crate) const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The key of the items in a list result.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }
}

/// One item of a catalog.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The name, URI or URI template that clients see.
    pub(crate) exposed: Arc<str>,
    /// The one that the backend knows.
    pub(crate) original: Arc<str>,
    /// `original` as raw JSON where it differs from `exposed`.
    pub(crate) rename: Option<Bytes>,
    /// Index of the owner among the endpoint's backends.
    pub(crate) backend: usize,
    /// The item as clients see it.
    pub(crate) rendered: Bytes,
    /// Calling it twice does no harm, says its owner.
    pub(crate) repeatable: bool,
}

/// One list of a catalog.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, usize>,
    /// Names that several backends offer and nobody resolved: name → their names.
    ambiguous: HashMap<String, Vec<String>>,
    pages: Vec<Page>,
}

/// A rendered page: `{"tools":[…]`, and where the next one begins.
#[derive(Debug)]
pub(crate) struct Page {
    first: usize,
    pub(crate) body: Bytes,
    pub(crate) next: Option<usize>,
}

/// What a name or URI leads to.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// An item.
    Entry(&'a Entry),
    /// No item, but a backend that owns URIs like this one: its index.
    Owner(usize),
    /// Several backends offer it, by these names.
    Ambiguous(&'a [String]),
    /// Nothing.
    Nothing,
}

/// What an endpoint offers as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offers {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) completions: bool,
}

/// One immutable snapshot of everything an endpoint offers.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) generation: u64,
    shelves: [Shelf; 4],
    pub(crate) offers: Offers,
    pub(crate) instructions: Option<String>,
    templates: Vec<(Template, usize)>,
    /// Scheme of a URI → the first backend that lists a resource or template with it.
    schemes: HashMap<String, usize>,
    /// The one backend that has resources, where there is just one.
    sole_owner: Option<usize>,
    resource_filter: UriFilter,
}

impl Shelf {
    fn render(&mut self, list: List, page_size: usize) {
        let count = self.entries.len();
        let firsts = (0..count.max(1)).step_by(page_size.max(1));
        self.pages = firsts
            .map(|first| {
                let end = (first + page_size).min(count);
                let items = self.entries.get(first..end).unwrap_or_default();
                let body = write_page(list.key(), items.iter().map(|entry| &entry.rendered[..]));
                Page { first, body, next: (end < count).then_some(end) }
            })
            .collect();
    }

    /// The page that begins at item `first`.
    pub(crate) fn page(&self, first: usize) -> Option<&Page> {
        let at = self.pages.binary_search_by_key(&first, |page| page.first).ok()?;
        self.pages.get(at)
    }

    fn find(&self, name: &str) -> Found<'_> {
        match self.by_name.get(name).and_then(|&at| self.entries.get(at)) {
            Some(entry) => Found::Entry(entry),
            None => match self.ambiguous.get(name) {
                Some(backends) => Found::Ambiguous(backends),
                None => Found::Nothing,
            },
        }
    }
}

impl Catalog {
    pub(crate) fn shelf(&self, list: List) -> &Shelf {
        let [tools, prompts, resources, templates] = &self.shelves;
        match list {
            List::Tools => tools,
            List::Prompts => prompts,
            List::Resources => resources,
            List::Templates => templates,
        }
    }

    /// The tool or prompt of this exposed name.
    pub(crate) fn named(&self, list: List, name: &str) -> Found<'_> {
        self.shelf(list).find(name)
    }

    /// The owner of a resource: the backend that lists it, else the first whose template fits, else the first that uses
    /// its scheme, else the only one that has resources at all. What the filters leave out is owned by nobody.
    pub(crate) fn resource(&self, uri: &str) -> Found<'_> {
        if let found @ Found::Entry(_) = self.shelf(List::Resources).find(uri) {
            return found;
        }
        if !self.resource_filter.reaches(uri) {
            return Found::Nothing;
        }
        let template =
            self.templates.iter().find(|(template, _)| template.matches(uri)).map(|(_, owner)| *owner);
        let scheme = || self.schemes.get(uri::scheme(uri)?).copied();
        match template.or_else(scheme).or(self.sole_owner) {
            Some(owner) => Found::Owner(owner),
            None => Found::Nothing,
        }
    }

    /// The template (or resource) that a completion names.
    pub(crate) fn template(&self, uri: &str) -> Found<'_> {
        match self.shelf(List::Templates).find(uri) {
            Found::Nothing => self.resource(uri),
            found => found,
        }
    }

    /// Which lists differ from those of `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<List> {
        List::ALL.into_iter().filter(|&list| self.shelf(list).entries != other.shelf(list).entries).collect()
    }
}

#[cfg(test)]
mod tests;
