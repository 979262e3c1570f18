//! Allow and deny lists.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Which names or URIs are offered.
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
        self.allow.as_ref().is_none_or(|allow| allow.is_match(name)) && !self.deny.is_match(name)
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
