//! Allow and deny lists.

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
        self.allow.as_ref().is_none_or(|allow| allow.is_match(name)) && !self.denies(name)
    }

    fn denies(&self, name: &str) -> bool {
        self.deny.is_match(name)
    }
}

/// Which resources are offered. The same resource can be written in many ways, so that what counts is the form that all
/// of them share.
#[derive(Debug, Clone, Default)]
pub(crate) struct UriFilter {
    /// There is something to filter.
    filters: bool,
    /// The patterns as they are written.
    written: ItemFilter,
    /// The patterns without escapes, for URIs in their normal form.
    normal: ItemFilter,
}

impl UriFilter {
    /// Compiles `filter`.
    pub(crate) fn new(filter: &weir_config::Filter) -> Result<Self, globset::Error> {
        let plain = |patterns: &[String]| {
            patterns
                .iter()
                .map(|pattern| uri::without_escapes(pattern).unwrap_or_else(|| pattern.clone()))
                .collect()
        };
        let normal = weir_config::Filter { allow: plain(&filter.allow), deny: plain(&filter.deny) };
        Ok(Self {
            filters: !filter.allow.is_empty() || !filter.deny.is_empty(),
            written: ItemFilter::new(filter)?,
            normal: ItemFilter::new(&normal)?,
        })
    }

    /// Whether a URI or template that a backend lists is offered.
    pub(crate) fn lists(&self, uri: &str) -> bool {
        let denied = || uri::normal_form(uri).is_some_and(|normal| self.normal.denies(&normal));
        !self.filters || (self.written.allows(uri) && !denied())
    }

    /// Whether a URI that nobody lists may be read. One without a normal form cannot be judged, and is not.
    pub(crate) fn reaches(&self, uri: &str) -> bool {
        let passes = |normal: String| self.normal.allows(&normal) && !self.written.denies(uri);
        !self.filters || uri::normal_form(uri).is_some_and(passes)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        // A star also covers `/`: names and URIs are no file paths.
        set.add(GlobBuilder::new(pattern).literal_separator(false).build()?);
    }
    set.build()
}
