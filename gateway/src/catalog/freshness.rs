//! How long merged lists are fresh: as long as all that they are made of.

use super::Stock;
use weir_backends::{Freshness, Inventory};

/// That of each list, in the order of [`List::ALL`](super::List::ALL).
pub(super) fn of_lists(stocks: &[Stock]) -> [Freshness; 4] {
    let together = |of: fn(&Inventory) -> Option<Freshness>| together(stocks, of);
    [
        together(|from| from.features.tools.then_some(from.freshness[0])),
        together(|from| from.features.prompts.then_some(from.freshness[1])),
        together(|from| from.features.resources.then_some(from.freshness[2])),
        together(|from| from.features.resources.then_some(from.freshness[3])),
    ]
}

/// That of what the backends say of themselves.
pub(super) fn of_handshakes(stocks: &[Stock]) -> Freshness {
    together(stocks, |inventory| Some(inventory.features.freshness))
}

/// What the backends that have something to say are together. One that has never answered may bring anything at any time;
/// and of what nobody has, nobody says how long that holds.
fn together(stocks: &[Stock], of: impl Fn(&Inventory) -> Option<Freshness>) -> Freshness {
    let parts = stocks.iter().filter_map(|stock| match &stock.inventory {
        Some(inventory) => of(inventory),
        None => Some(Freshness::STALE),
    });
    parts.reduce(Freshness::and).unwrap_or(Freshness::STALE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::time::Instant;
    use weir_backends::Features;
    use weir_protocol::{Hint, Revision};

    fn stock(tools: Option<(u64, bool)>, now: Instant) -> Stock {
        let of = |(ttl_ms, public)| Freshness::of(Hint { ttl_ms, public }, now);
        let inventory = Inventory {
            features: Features {
                tools: tools.is_some(),
                resources: true,
                freshness: tools.map_or(Freshness::STALE, of),
                ..Features::bare(Revision::LATEST)
            },
            tools: Vec::new(),
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            freshness: [tools.map_or(Freshness::STALE, of); 4],
            faults: Vec::new(),
        };
        Stock { name: "s".to_owned(), inventory: Some(Arc::new(inventory)) }
    }

    #[test]
    fn a_list_is_as_fresh_as_the_stalest_part_of_it() {
        let now = Instant::now();
        let hints = |stocks: &[Stock]| of_lists(stocks).map(|list| list.hint(now));
        let (long, short) = (stock(Some((9000, true)), now), stock(Some((10, true)), now));
        let public = |ttl_ms| Hint { ttl_ms, public: true };
        let two = [long.clone(), short.clone()];
        assert_eq!(hints(&two), [public(10), Hint::default(), public(10), public(10)]);
        assert_eq!(of_handshakes(&two).hint(now), public(10));
        // One without tools does not speak of tools, but it does of resources.
        let other = [long.clone(), stock(None, now)];
        assert_eq!(hints(&other), [public(9000), Hint::default(), Hint::default(), Hint::default()]);
        assert_eq!(
            hints(&[long.clone(), stock(Some((5, false)), now)])[0],
            Hint { ttl_ms: 5, public: false }
        );
        let silent = Stock { name: "x".to_owned(), inventory: None };
        assert_eq!(hints(&[long, silent])[0], Hint::default());
        assert_eq!(hints(&[])[0], Hint::default());
    }
}
