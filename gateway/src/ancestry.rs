//! What a resource is a part of, by its URI.

/// A URI has no more parts than this that could be resources of their own.
const PARTS: usize = 64;

/// A URI, and then everything that it is a part of. An update may name a part of what was subscribed to.
pub(crate) fn ancestry(uri: &str) -> impl Iterator<Item = &str> {
    let parts = uri.match_indices(['/', '?', '#']).flat_map(|(at, end)| [at, at + end.len()]);
    let outer =
        parts.take(2 * PARTS).filter_map(|end| uri.get(..end)).filter(move |part| part.len() < uri.len());
    std::iter::once(uri).chain(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_where_others_begin() {
        let deep = "/".repeat(1 << 20);
        assert_eq!(ancestry(&deep).count(), 1 + 2 * PARTS);
        assert_eq!(ancestry("ü/ü").collect::<Vec<_>>(), ["ü/ü", "ü", "ü/"]);
    }
}
