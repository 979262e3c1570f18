//! Which tools an endpoint offers: choices for each backend, as patterns of the names that clients see.

use super::draft::Draft;
use super::notes::{Notes, Spot};
use crate::report::{quote, quote_all};

/// What is wanted of one backend's tools.
#[derive(Default)]
pub(super) struct Choice {
    /// Only these, by the name that they get; all where absent.
    pub(super) only: Option<Vec<String>>,
    /// None of them.
    pub(super) none: bool,
    /// Changes by the tool's own name, as they are written.
    pub(super) overrides: Vec<(String, Draft)>,
    /// Where the choice stands.
    pub(super) spot: Option<Spot>,
}

/// What is wanted of an endpoint's tools.
#[derive(Default)]
pub(super) struct Selection {
    /// How names are written, with `{backend}` and the tool's name behind; absent where they stay as they are.
    pub(super) format: Option<String>,
    /// No tool of any backend.
    pub(super) nothing: bool,
    /// Backends in their order.
    pub(super) of: Vec<(String, Choice)>,
}

impl Selection {
    /// The backends of which an endpoint can show nothing because names do not tell them apart: they are left out of it.
    pub(super) fn take_unshown(&mut self) -> Vec<(String, Choice)> {
        if self.format.is_some() {
            return Vec::new();
        }
        let (unshown, shown) = std::mem::take(&mut self.of).into_iter().partition(|(_, choice)| choice.none);
        self.of = shown;
        unshown
    }

    /// `tools` of the endpoint; `None` where everything is offered as it is.
    pub(super) fn tools(mut self, notes: &mut Notes) -> Option<Draft> {
        let mut tools = Draft::table();
        let (allow, mut deny) = match &self.format {
            _ if self.nothing => (Vec::new(), vec!["*".to_owned()]),
            Some(format) => prefixed(format, &self.of),
            None => {
                self.hide_others();
                self.bare(notes)
            }
        };
        let only = self.of.iter().find(|(_, choice)| choice.only.is_some());
        if let Some((_, choice)) = only.filter(|_| allow.is_empty() && !self.nothing) {
            // An empty list would allow everything.
            deny = vec!["*".to_owned()];
            let message = "no tool is named here: `tools` of the endpoint denies all of them";
            let help = "take `*` out of `tools.deny`, and allow what is to be shown";
            choice.spot.iter().for_each(|spot| notes.remark(spot, message, help));
        }
        let list =
            |patterns: Vec<String>| Draft::list(patterns.iter().map(|pattern| Draft::literal(pattern)));
        for (key, patterns) in [("allow", allow), ("deny", deny)] {
            if !patterns.is_empty() {
                tools.set(key, list(patterns));
            }
        }
        for (backend, choice) in self.of {
            for (tool, change) in choice.overrides.into_iter().filter(|(_, change)| !change.is_empty()) {
                tools.set_in(&["overrides", &backend, &tool], change);
            }
        }
        (!tools.is_empty()).then_some(tools)
    }

    /// Names as they are: a name that one backend is to show must not bring that of another backend with it.
    fn hide_others(&mut self) {
        let mut all: Vec<String> = Vec::new();
        for name in self.of.iter().filter_map(|(_, choice)| choice.only.as_ref()).flatten() {
            if !all.contains(name) {
                all.push(name.clone());
            }
        }
        for (_, choice) in &mut self.of {
            let Some(only) = &choice.only else { continue };
            for name in all.iter().filter(|name| !only.contains(name)) {
                if !choice.overrides.iter().any(|(tool, _)| tool == name) {
                    let mut hidden = Draft::table();
                    hidden.set("hide", Draft::bare(true));
                    choice.overrides.push((name.clone(), hidden));
                }
            }
        }
    }

    /// Patterns of names as they are.
    fn bare(&self, notes: &mut Notes) -> (Vec<String>, Vec<String>) {
        let mut allow: Vec<String> = Vec::new();
        for name in self.of.iter().filter_map(|(_, choice)| choice.only.as_ref()).flatten() {
            let pattern = escape(name);
            if !allow.contains(&pattern) {
                allow.push(pattern);
            }
        }
        let unbounded: Vec<&str> = self
            .of
            .iter()
            .filter(|(_, choice)| choice.only.is_none())
            .map(|(name, _)| name.as_str())
            .collect();
        let chosen = self.of.iter().find_map(|(_, choice)| choice.only.as_ref().and(choice.spot.as_ref()));
        if let Some(spot) = chosen.filter(|_| !unbounded.is_empty()) {
            notes.remark(
                spot,
                format!(
                    "tools were chosen of some backends only; names say nothing of their backend here, so those of {} \
                     are hidden too",
                    quote_all(unbounded)
                ),
                "add the names that are to be shown to `tools.allow`: `weir check --connect` lists them",
            );
        }
        (allow, Vec::new())
    }
}

/// Patterns of names that begin with their backend's.
fn prefixed(format: &str, of: &[(String, Choice)]) -> (Vec<String>, Vec<String>) {
    let all = |backend: &str| format!("{}*", escape(&exposed(format, backend, "")));
    let deny: Vec<String> =
        of.iter().filter(|(_, choice)| choice.none).map(|(backend, _)| all(backend)).collect();
    if of.iter().all(|(_, choice)| choice.only.is_none()) {
        return (Vec::new(), deny);
    }
    let mut allow = Vec::new();
    for (backend, choice) in of.iter().filter(|(_, choice)| !choice.none) {
        match &choice.only {
            Some(only) => allow.extend(only.iter().map(|tool| escape(&exposed(format, backend, tool)))),
            None => allow.push(all(backend)),
        }
    }
    (allow, deny)
}

/// The name that clients see.
pub(super) fn exposed(format: &str, backend: &str, tool: &str) -> String {
    format!("{}{tool}", format.replace("{backend}", backend))
}

/// A name as a pattern that matches it alone.
fn escape(name: &str) -> String {
    name.chars()
        .map(|letter| if "*?[]{}\\".contains(letter) { format!("[{letter}]") } else { letter.to_string() })
        .collect()
}

/// Says that a backend shows no tool, and is left out of the endpoint.
pub(super) fn leave_out(unshown: &[(String, Choice)], notes: &mut Notes) {
    for (backend, choice) in unshown {
        let Some(spot) = &choice.spot else { continue };
        notes.remark(
            spot,
            format!("no tool of {} is to be shown: it was left out of the endpoint", quote(backend)),
            "its prompts and resources are left out too; to show them, add it to `backends` of the endpoint and hide \
             its tools with `tools.overrides`",
        );
    }
}
