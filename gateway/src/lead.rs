//! Where the name or URI of a request leads in a catalog: the same for those who call, and for those who ask what would
//! come of a call.

use crate::catalog::{Catalog, Entry, Found, List};

/// What a request names, as policies and servers know it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lead<'c> {
    Tool(&'c Entry),
    Prompt(&'c Entry),
    /// A resource that is listed.
    Resource(&'c Entry),
    /// A resource that nobody lists, and the index of its owner.
    Unlisted(usize),
    Template(&'c Entry),
}

impl<'c> Lead<'c> {
    /// The tool of a name.
    ///
    /// # Errors
    /// Nothing, or several of one name.
    pub(crate) fn tool(catalog: &'c Catalog, name: &str) -> Result<Self, Found<'c>> {
        match catalog.named(List::Tools, name) {
            Found::Entry(entry) => Ok(Self::Tool(entry)),
            other => Err(other),
        }
    }

    /// The prompt of a name.
    ///
    /// # Errors
    /// Nothing, or several of one name.
    pub(crate) fn prompt(catalog: &'c Catalog, name: &str) -> Result<Self, Found<'c>> {
        match catalog.named(List::Prompts, name) {
            Found::Entry(entry) => Ok(Self::Prompt(entry)),
            other => Err(other),
        }
    }

    /// The resource that is read or watched by a URI.
    ///
    /// # Errors
    /// Nobody has it.
    pub(crate) fn resource(catalog: &'c Catalog, uri: &str) -> Result<Self, Found<'c>> {
        match catalog.resource(uri) {
            Found::Entry(entry) => Ok(Self::Resource(entry)),
            Found::Owner(owner) => Ok(Self::Unlisted(owner)),
            other => Err(other),
        }
    }

    /// The template or resource of which a completion is asked.
    ///
    /// # Errors
    /// Nobody has it.
    pub(crate) fn completed(catalog: &'c Catalog, uri: &str) -> Result<Self, Found<'c>> {
        match catalog.template(uri) {
            Found::Entry(entry) => Ok(Self::Template(entry)),
            _ => Self::resource(catalog, uri),
        }
    }

    /// The index of its backend.
    pub(crate) fn owner(&self) -> usize {
        match self {
            Self::Tool(entry) | Self::Prompt(entry) | Self::Resource(entry) | Self::Template(entry) => {
                entry.backend
            }
            Self::Unlisted(owner) => *owner,
        }
    }

    /// What its backend calls it, where the request says `written`.
    pub(crate) fn original<'s>(&self, catalog: &Catalog, written: &'s str) -> &'s str
    where
        'c: 's,
    {
        match self {
            Self::Tool(entry) | Self::Prompt(entry) | Self::Resource(entry) | Self::Template(entry) => {
                &entry.original
            }
            Self::Unlisted(_) => catalog.original_uri(written).map_or(written, |(_, original)| original),
        }
    }

    /// The tool or prompt.
    pub(crate) fn named(&self) -> Option<&'c Entry> {
        match self {
            Self::Tool(entry) | Self::Prompt(entry) => Some(entry),
            Self::Resource(_) | Self::Unlisted(_) | Self::Template(_) => None,
        }
    }
}
