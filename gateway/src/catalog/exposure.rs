//! URIs as clients see them: those of the backends, or with their backend before them, `weir+BACKEND:URI`.
//!
//! A scheme holds letters, digits, `+`, `-` and `.`, and means the same in small and capital letters (RFC 3986 section 3.1).
//! So in the name of a backend `_` is written `++`, and a capital letter as `+` and the small one: the backend `My_Files`
//! has the scheme `weir++my+++files`. No name holds a `+` of its own, so that no two have one scheme.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// How every scheme of weir's begins.
const SCHEME: &str = "weir+";

/// What stands before the URIs of each backend of an endpoint.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exposure {
    prefixes: Vec<Arc<str>>,
    by_prefix: HashMap<Arc<str>, usize>,
}

impl Exposure {
    /// For backends of these names, in the endpoint's order.
    pub(crate) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let prefixes: Vec<Arc<str>> = names.map(|name| prefix_of(name).into()).collect();
        let by_prefix = prefixes.iter().enumerate().map(|(at, prefix)| (prefix.clone(), at)).collect();
        Self { prefixes, by_prefix }
    }

    /// What stands before the URIs of the backend at `index`; `None` where they stay as they are.
    pub(crate) fn prefix(&self, index: usize) -> Option<&Arc<str>> {
        self.prefixes.get(index)
    }

    /// `uri` of the backend at `index` as clients see it.
    pub(crate) fn exposed<'u>(&self, index: usize, uri: &'u str) -> Cow<'u, str> {
        match self.prefixes.get(index) {
            Some(prefix) => format!("{prefix}{uri}").into(),
            None => uri.into(),
        }
    }

    /// The backend that a URI names, by its index, and the URI that it knows; `None` where the URI names none.
    pub(crate) fn original<'u>(&self, exposed: &'u str) -> Option<(usize, &'u str)> {
        let original = without_wrap(exposed)?;
        let prefix = exposed.get(..exposed.len() - original.len())?.to_ascii_lowercase();
        Some((*self.by_prefix.get(&*prefix)?, original))
    }
}

/// What weir, this one or another, puts before the URIs of the backend `name`.
fn prefix_of(name: &str) -> String {
    let mut prefix = SCHEME.to_owned();
    for letter in name.chars() {
        match letter {
            '_' => prefix.push_str("++"),
            'A'..='Z' => prefix.extend(['+', letter.to_ascii_lowercase()]),
            letter => prefix.push(letter),
        }
    }
    prefix.push(':');
    prefix
}

/// So many weirs may stand behind each other; what has more backends before it cannot be judged.
const LAYERS: usize = 8;

/// The URI within a URI with some backend before it.
pub(super) fn without_wrap(uri: &str) -> Option<&str> {
    let (scheme, original) = uri.split_once(':')?;
    let ours = scheme.get(..SCHEME.len())?.eq_ignore_ascii_case(SCHEME);
    ours.then_some(original)
}

/// The URI, and the URIs within it: one for each backend before it. `None` where there are too many.
pub(super) fn layers(uri: &str) -> Option<Vec<&str>> {
    let layers: Vec<&str> =
        std::iter::successors(Some(uri), |uri| without_wrap(uri)).take(LAYERS + 2).collect();
    (layers.len() <= LAYERS + 1).then_some(layers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn schemes() {
        let exposure = Exposure::new(["git", "My_Files", "a.b-c"].into_iter());
        assert_eq!(exposure.exposed(1, "file:///a"), "weir++my+++files:file:///a");
        assert_eq!(exposure.original("weir++my+++files:file:///a"), Some((1, "file:///a")));
        assert_eq!(exposure.original("WEIR+GIT:x:y"), Some((0, "x:y")));
        assert_eq!(exposure.original("weir+a.b-c:weir+git:x"), Some((2, "weir+git:x")), "one layer");
        for uri in ["weir+other:x", "weir+git", "git:x", "weir:x", "file:///weir+git:x", "weïr+git:x"] {
            assert_eq!(exposure.original(uri), None, "{uri}");
        }
        assert_eq!(Exposure::default().exposed(0, "x:y"), "x:y");
        assert_eq!(Exposure::default().original("weir+git:x"), None);
    }

    proptest! {
        #[test]
        fn every_name_has_a_scheme_of_its_own(one in "[A-Za-z0-9_.-]{1,6}", two in "[A-Za-z0-9_.-]{1,6}") {
            let (first, second) = (prefix_of(&one), prefix_of(&two));
            prop_assert_eq!(one == two, first.eq_ignore_ascii_case(&second));
            let scheme = &first[..first.len() - 1];
            prop_assert!(scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)));
            let exposure = Exposure::new([&*one].into_iter());
            let exposed = exposure.exposed(0, &two);
            prop_assert_eq!(exposure.original(&exposed), Some((0, &*two)));
        }
    }
}
