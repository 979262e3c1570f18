//! The merged, conflict-resolved view of an endpoint's tools, prompts, resources and templates: one immutable snapshot.

mod build;
mod exposure;
mod filter;
mod freshness;
mod identity;
mod interfaces;
mod names;
mod offers;
mod parameters;
mod shelf;
mod template;
mod uri;
mod visible;

pub(crate) use build::{Conflict, Stock, build, exposed_name};
pub(crate) use exposure::Exposure;
pub(crate) use filter::{ItemFilter, UriFilter};
pub(crate) use offers::{Instructions, Offers};
pub(crate) use parameters::Unfit;
pub(crate) use shelf::{Page, Pages, Shelf};
pub(crate) use visible::Visible;

use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use template::Template;
use weir_backends::Freshness;
use weir_policies::Hints;
use weir_protocol::item::TaskSupport;
use weir_protocol::parameters::Parameters;
use weir_protocol::{Era, Mirrors};

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

/// As whom a client sees a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// One of 2026-07-28.
    Modern,
    /// One of an older revision.
    Legacy,
    /// The same, and it may begin tasks of 2025-11-25.
    LegacyTasks,
}

impl View {
    pub(crate) const ALL: [Self; 3] = [Self::Modern, Self::Legacy, Self::LegacyTasks];

    /// The client's era.
    pub(crate) const fn era(self) -> Era {
        match self {
            Self::Modern => Era::Modern,
            Self::Legacy | Self::LegacyTasks => Era::Legacy,
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
    /// The item as legacy clients see it, where that differs.
    pub(crate) legacy: Option<Bytes>,
    /// The tool as clients see it who may begin tasks of 2025-11-25, where its server carries it out as one.
    pub(crate) tasked: Option<Bytes>,
    /// Whether a legacy server carries it out as a task.
    pub(crate) task: TaskSupport,
    /// What becomes of a call's arguments, where an override says so.
    pub(crate) parameters: Option<Arc<Parameters>>,
    /// Calling it twice does no harm, says its owner.
    pub(crate) repeatable: bool,
    /// What clients are told of what it does, for policies.
    pub(crate) hints: Hints,
    /// Words of the operator's for it, sorted.
    pub(crate) tags: Vec<String>,
    /// The arguments that headers mirror; `None` for all but a few tools.
    pub(crate) mirrored: Option<Mirrored>,
}

/// The arguments of a tool that headers mirror. The schema that clients see need not be the backend's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// As clients see them.
    pub(crate) exposed: Option<Arc<Mirrors>>,
    /// As the backend wants them.
    pub(crate) original: Arc<Mirrors>,
}

impl Entry {
    /// The item as clients of `view` see it.
    pub(crate) fn seen(&self, view: View) -> &Bytes {
        let legacy = self.legacy.as_ref().unwrap_or(&self.rendered);
        match view {
            View::Modern => &self.rendered,
            View::Legacy => legacy,
            View::LegacyTasks => self.tasked.as_ref().unwrap_or(legacy),
        }
    }
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

/// One immutable snapshot of everything an endpoint offers.
#[derive(Debug)]
pub(crate) struct Catalog {
    pub(crate) generation: u64,
    shelves: [Shelf; 4],
    pub(crate) offers: Offers,
    /// What the backends want models to know, or the operator in their place.
    pub(crate) instructions: Instructions,
    /// How long each list is fresh, in the order of [`List::ALL`], as far as the backends say.
    fresh: [Freshness; 4],
    /// The same for what the backends say of themselves.
    pub(crate) discovered: Freshness,
    templates: Vec<(Template, usize)>,
    /// Resource of a tool's user interface → the backend of the tool, where clients see the backends' own URIs.
    interfaces: HashMap<String, usize>,
    /// Scheme of a URI → the first backend that lists a resource or template with it.
    schemes: HashMap<String, usize>,
    /// The one backend that has resources, where there is just one.
    sole_owner: Option<usize>,
    resource_filter: UriFilter,
    exposure: Exposure,
    /// A backend's own URI → the first resource of that URI, where clients see other URIs.
    plain: HashMap<Arc<str>, usize>,
    spellings: OnceLock<identity::Spellings>,
    /// Overrides that do not do what was meant, to be reported.
    pub(crate) unfit: Vec<Unfit>,
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

    /// How long a list is fresh, as far as the backends say.
    pub(crate) fn freshness(&self, list: List) -> Freshness {
        let [tools, prompts, resources, templates] = self.fresh;
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

    /// The owner of a resource: the backend that lists it, else the one whose tool has it as its user interface, else the
    /// first whose template fits, else the first that uses
    /// its scheme, else the only one that has resources at all. What the filters leave out is owned by nobody.
    ///
    /// Where clients see URIs with their backend before them, such a URI names its owner. A URI without is looked for as if
    /// clients saw the backends' own.
    pub(crate) fn resource(&self, uri: &str) -> Found<'_> {
        let named = self.original_uri(uri);
        let shelf = self.shelf(List::Resources);
        let listed = match named {
            Some((owner, original)) => shelf.find(&self.exposed_uri(owner, original)),
            None => match self.plain.get(uri).and_then(|&at| shelf.entries.get(at)) {
                Some(entry) => Found::Entry(entry),
                None => shelf.find(uri),
            },
        };
        if let Found::Entry(_) = listed {
            return listed;
        }
        let owner = named.map(|(owner, _)| owner).or_else(|| self.likely_owner(uri));
        let original = named.map_or(uri, |(_, original)| original);
        match owner {
            Some(owner)
                if self.resource_filter.reaches(self.uri_prefix(owner).map(|prefix| &**prefix), original) =>
            {
                Found::Owner(owner)
            }
            _ => Found::Nothing,
        }
    }

    /// Who may know a URI that nobody lists.
    fn likely_owner(&self, uri: &str) -> Option<usize> {
        let template =
            self.templates.iter().find(|(template, _)| template.matches(uri)).map(|(_, owner)| *owner);
        let scheme = || self.schemes.get(uri::scheme(uri)?).copied();
        self.interfaces.get(uri).copied().or(template).or_else(scheme).or(self.sole_owner)
    }

    /// `uri` of the backend at `backend` as clients of this endpoint see it.
    pub(crate) fn exposed_uri<'u>(&self, backend: usize, uri: &'u str) -> Cow<'u, str> {
        self.exposure.exposed(backend, uri)
    }

    /// The backend that a URI of a client's names, by its index, and the URI that it knows; `None` where the URI has no
    /// backend of this endpoint before it, or where clients see the backends' own URIs.
    pub(crate) fn original_uri<'u>(&self, exposed: &'u str) -> Option<(usize, &'u str)> {
        self.exposure.original(exposed)
    }

    /// What stands before the URIs of a backend; `None` where they stay as they are.
    pub(crate) fn uri_prefix(&self, backend: usize) -> Option<&Arc<str>> {
        self.exposure.prefix(backend)
    }

    /// The template that a completion names.
    pub(crate) fn template(&self, uri: &str) -> Found<'_> {
        let canonical = match self.original_uri(uri) {
            Some((owner, original)) => self.exposed_uri(owner, original),
            None => uri.into(),
        };
        self.shelf(List::Templates).find(&canonical)
    }

    /// Which lists differ from those of `other`.
    pub(crate) fn differences(&self, other: &Self) -> Vec<List> {
        List::ALL.into_iter().filter(|&list| self.shelf(list).entries != other.shelf(list).entries).collect()
    }
}

#[cfg(test)]
mod tests;
