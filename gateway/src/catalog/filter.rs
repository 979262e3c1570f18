//! Allow and deny lists.

use super::exposure::layers;
use super::uri;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Which names are offered.
#[derive(Debug, Clone, Default)]
pub(crate) struct ItemFilter {
    allow: Option<GlobSet>,
    deny: GlobSet,
}

impl ItemFilter {
    /// Compiles `filter`; its patterns were checked when the configuration was read.
    pub(crate) fn new(filter: &weir_config::Filter) -> Result<Self, globset::Error> {
        Ok(Self {
            allow: if filter.allow.is_empty() { None } else { Some(set(&filter.allow)?) },
            deny: set(&filter.deny)?,
        })
    }

    /// Whether `name` may be offered. A denied name is never offered, whatever else allows it.
    pub(crate) fn allows(&self, name: &str) -> bool {
        self.admits(name) && !self.denies(name)
    }

    fn admits(&self, name: &str) -> bool {
        self.allow.as_ref().is_none_or(|allow| allow.is_match(name))
    }

    fn denies(&self, name: &str) -> bool {
        self.deny.is_match(name)
    }
}

/// Which resources are offered. The same resource can be written in many ways, so that what counts is the form that all
/// of them share. What is judged is always a backend's own URI, whichever way a client wrote it; where clients see the
/// backend before it (`prefix`), patterns may speak of either.
#[derive(Debug, Clone, Default)]
pub(crate) struct UriFilter {
    /// There is something to filter.
    filters: bool,
    /// The patterns as they are written.
    written: ItemFilter,
    /// The patterns in the form of URIs in their normal form.
    normal: ItemFilter,
}

impl UriFilter {
    /// Compiles `filter`.
    pub(crate) fn new(filter: &weir_config::Filter) -> Result<Self, globset::Error> {
        let normal =
            |patterns: &[String]| patterns.iter().map(|pattern| uri::normal_pattern(pattern)).collect();
        let normal = weir_config::Filter { allow: normal(&filter.allow), deny: normal(&filter.deny) };
        Ok(Self {
            filters: !filter.allow.is_empty() || !filter.deny.is_empty(),
            written: ItemFilter::new(filter)?,
            normal: ItemFilter::new(&normal)?,
        })
    }

    /// Whether a URI or template that a backend lists is offered.
    pub(crate) fn lists(&self, prefix: Option<&str>, uri: &str) -> bool {
        let normal = || uri::normal_form(uri);
        !self.filters
            || (admits(&self.written, prefix, uri)
                && !denies(&self.written, prefix, uri)
                && !normal().is_some_and(|normal| denies(&self.normal, prefix, &normal)))
    }

    /// Whether a URI that nobody lists may be read. One without a normal form cannot be judged, and is not.
    pub(crate) fn reaches(&self, prefix: Option<&str>, uri: &str) -> bool {
        let passes = |normal: String| {
            admits(&self.normal, prefix, &normal)
                && !denies(&self.normal, prefix, &normal)
                && !denies(&self.written, prefix, uri)
        };
        !self.filters || uri::normal_form(uri).is_some_and(passes)
    }
}

/// Whether `allow` speaks of the URI, with or without what stands before it.
fn admits(filter: &ItemFilter, prefix: Option<&str>, uri: &str) -> bool {
    filter.admits(uri) || prefix.is_some_and(|prefix| filter.admits(&format!("{prefix}{uri}")))
}

/// Whether `deny` speaks of the URI, with or without what stands before it. A backend may be a weir itself, whose URIs hold
/// those of its own backends; what is denied is denied there too.
fn denies(filter: &ItemFilter, prefix: Option<&str>, uri: &str) -> bool {
    prefix.is_some_and(|prefix| filter.denies(&format!("{prefix}{uri}")))
        || layers(uri).is_none_or(|layers| layers.into_iter().any(|uri| filter.denies(uri)))
}

fn set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A star also covers `/`: names and URIs are no file paths.
        set.add(GlobBuilder::new(pattern).literal_separator(false).build()?);
    }
    set.build()
}
