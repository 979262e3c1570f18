//! What an endpoint says of itself: what it can do, and what models should know.

use super::{Stock, interfaces};
use std::borrow::Cow;
use weir_backends::{Inventory, LegacyTasks};
use weir_config::Endpoint;

/// What an endpoint offers as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offers {
    pub(crate) tools: bool,
    pub(crate) prompts: bool,
    pub(crate) resources: bool,
    pub(crate) subscribe: bool,
    pub(crate) logging: bool,
    pub(crate) completions: bool,
    /// The extension for tasks.
    pub(crate) tasks: bool,
    /// Tasks of 2025-11-25.
    pub(crate) legacy_tasks: LegacyTasks,
    /// The extension for user interfaces.
    pub(crate) interfaces: bool,
}

/// What clients are told to tell their models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// The operator's words, for everybody.
    Own(String),
    /// Those of backends, by their index: each for who sees something of that backend.
    Told(Vec<(usize, String)>),
}

/// The backends whose inventory `has` a feature, by their index.
pub(super) fn with_feature(
    stocks: &[Stock],
    has: impl Fn(&Inventory) -> bool,
) -> impl Iterator<Item = usize> {
    stocks
        .iter()
        .enumerate()
        .filter(move |(_, stock)| stock.inventory.as_ref().is_some_and(|inventory| has(inventory)))
        .map(|(at, _)| at)
}

/// A backend that has never answered may still offer anything, but nobody is told of extensions that none has.
pub(super) fn of(stocks: &[Stock]) -> Offers {
    let any = |has: fn(&Inventory) -> bool| {
        stocks.iter().any(|stock| stock.inventory.as_ref().is_none_or(|inventory| has(inventory)))
    };
    Offers {
        tools: any(|inventory| inventory.features.tools),
        prompts: any(|inventory| inventory.features.prompts),
        resources: any(|inventory| inventory.features.resources),
        subscribe: any(|inventory| inventory.features.subscribe),
        logging: any(|inventory| inventory.features.logging),
        completions: any(|inventory| inventory.features.completions),
        tasks: with_feature(stocks, |inventory| inventory.features.tasks).next().is_some(),
        legacy_tasks: LegacyTasks {
            calls: with_feature(stocks, |inventory| inventory.features.legacy_tasks.calls).next().is_some(),
            cancel: with_feature(stocks, |inventory| inventory.features.legacy_tasks.cancel).next().is_some(),
        },
        interfaces: with_feature(stocks, interfaces::are_in).next().is_some(),
    }
}

impl Instructions {
    pub(super) fn of(endpoint: &Endpoint, stocks: &[Stock]) -> Self {
        if let Some(own) = &endpoint.instructions {
            return Self::Own(own.clone());
        }
        let told = stocks.iter().enumerate().filter_map(|(at, stock)| {
            let text = stock.inventory.as_ref()?.features.instructions.as_ref()?;
            Some((at, format!("{}: {text}", stock.name)))
        });
        Self::Told(told.collect())
    }

    /// The text for somebody who sees something of the backends that `sees` says yes to; `None` where there is nothing to
    /// say.
    pub(crate) fn text(&self, sees: impl Fn(usize) -> bool) -> Option<Cow<'_, str>> {
        match self {
            Self::Own(text) => Some(text.into()),
            Self::Told(texts) => {
                let told = texts.iter().filter(|(backend, _)| sees(*backend));
                let told: Vec<&str> = told.map(|(_, text)| &**text).collect();
                (!told.is_empty()).then(|| told.join("\n\n").into())
            }
        }
    }
}
