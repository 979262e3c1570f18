//! What a client can be asked for while it waits for an answer, and which extensions it speaks.
//!
//! S: MCP 2026-07-28 `basic/index` "Capabilities", `client/elicitation`, `client/sampling`, `client/roots`; 2025-11-25
//! `basic/lifecycle` "Capability Negotiation".

use crate::{Envelope, Era, Method, Revision};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::BitAnd;

/// The extension for tasks (2026-07-28 `extensions/tasks`).
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
/// The extension for user interfaces, MCP Apps.
pub const UI: &str = "io.modelcontextprotocol/ui";

/// A set of capabilities of a client, those that weir relays. Small enough to be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ClientCapabilities(u8);

impl BitAnd for ClientCapabilities {
    type Output = Self;

    /// What both sets have.
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[derive(Deserialize)]
struct Declared<'a> {
    #[serde(borrow)]
    elicitation: Option<&'a RawValue>,
    #[serde(borrow)]
    sampling: Option<&'a RawValue>,
    #[serde(borrow)]
    roots: Option<&'a RawValue>,
    #[serde(borrow, default)]
    extensions: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
}

#[derive(Deserialize, Default)]
struct Elicitation {
    form: Option<IgnoredAny>,
    url: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
struct Sampling {
    tools: Option<IgnoredAny>,
    context: Option<IgnoredAny>,
}

/// What is read of a request to a client.
#[derive(Deserialize, Default)]
struct Asked<'a> {
    #[serde(borrow)]
    mode: Option<Cow<'a, str>>,
    tools: Option<IgnoredAny>,
    #[serde(rename = "includeContext", borrow)]
    context: Option<Cow<'a, str>>,
}

impl ClientCapabilities {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Forms for the user to fill in.
    pub const FORM: Self = Self(1);
    /// URLs for the user to visit.
    pub const URL: Self = Self(1 << 1);
    /// Messages from the client's model.
    pub const SAMPLING: Self = Self(1 << 2);
    /// The same, with tools.
    pub const SAMPLING_TOOLS: Self = Self(1 << 3);
    /// The same, with context of other servers.
    pub const SAMPLING_CONTEXT: Self = Self(1 << 4);
    /// The folders that the client works in.
    pub const ROOTS: Self = Self(1 << 5);
    /// The extension [`TASKS`].
    pub const TASKS: Self = Self(1 << 6);
    /// The extension [`UI`].
    pub const UI: Self = Self(1 << 7);
    /// Everything that a client can be asked.
    pub const ASKS: Self = Self(0b11_1111);

    /// What weir declares where no client waits: servers list by it what they offer.
    pub const LISTING: Self = Self::ASKS.with(Self::UI);

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether everything in `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the client can be asked anything.
    pub const fn can_be_asked(self) -> bool {
        self.0 & Self::ASKS.0 != 0
    }

    /// Reads the `capabilities` of `initialize`, or the modern `_meta` member: a raw JSON object that a client of
    /// `revision` wrote. What its revision does not have, and what is no object, is not declared.
    pub fn parse(raw: &[u8], revision: Revision) -> Self {
        if raw == b"{}" {
            return Self::NONE;
        }
        let Ok(declared) = serde_json::from_slice::<Declared<'_>>(raw) else {
            return Self::NONE;
        };
        let object = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get().starts_with('{'));
        let mut set = Self::NONE;
        let mut add = |condition: bool, what: Self| {
            if condition {
                set = set.with(what);
            }
        };
        if revision >= Revision::V2025_06_18 && object(declared.elicitation) {
            let modes = modes::<Elicitation>(declared.elicitation);
            let url = modes.url.is_some() && revision >= Revision::V2025_11_25;
            // An empty object means forms, as it did before there were modes.
            add(modes.form.is_some() || !url, Self::FORM);
            add(url, Self::URL);
        }
        if object(declared.sampling) {
            let modes = modes::<Sampling>(declared.sampling);
            add(true, Self::SAMPLING);
            add(modes.tools.is_some() && revision >= Revision::V2025_11_25, Self::SAMPLING_TOOLS);
            // Before there was a capability for it, context could be asked for by anybody, and be refused.
            add(modes.context.is_some() || revision < Revision::V2025_11_25, Self::SAMPLING_CONTEXT);
        }
        add(object(declared.roots), Self::ROOTS);
        if let Some(extensions) = &declared.extensions {
            let speaks = |name: &str| object(extensions.get(name).copied());
            add(speaks(TASKS) && revision.era() == Era::Modern, Self::TASKS);
            add(speaks(UI), Self::UI);
        }
        set
    }

    /// The set as a raw JSON object.
    pub fn write(self) -> String {
        let mut members = Vec::new();
        let part = |has: Self, text: &'static str| self.has(has).then_some(text);
        let join =
            |parts: &[Option<&'static str>]| parts.iter().flatten().copied().collect::<Vec<_>>().join(",");
        if self.has(Self::FORM) || self.has(Self::URL) {
            let modes = join(&[part(Self::FORM, r#""form":{}"#), part(Self::URL, r#""url":{}"#)]);
            members.push(format!(r#""elicitation":{{{modes}}}"#));
        }
        if self.has(Self::SAMPLING) {
            let modes = join(&[
                part(Self::SAMPLING_TOOLS, r#""tools":{}"#),
                part(Self::SAMPLING_CONTEXT, r#""context":{}"#),
            ]);
            members.push(format!(r#""sampling":{{{modes}}}"#));
        }
        if self.has(Self::ROOTS) {
            members.push(r#""roots":{}"#.to_owned());
        }
        let mut extensions = Vec::new();
        if self.has(Self::TASKS) {
            extensions.push(format!(r#""{TASKS}":{{}}"#));
        }
        if self.has(Self::UI) {
            extensions.push(format!(r#""{UI}":{{"mimeTypes":["text/html;profile=mcp-app"]}}"#));
        }
        if !extensions.is_empty() {
            members.push(format!(r#""extensions":{{{}}}"#, extensions.join(",")));
        }
        format!("{{{}}}", members.join(","))
    }

    /// Whether the client may be sent `request`, a server's request for input; its method and parameters are read. What
    /// cannot be read, such as a mode that stands there twice, may not be sent.
    pub fn allows(self, body: &[u8], request: &Envelope) -> bool {
        let read = |start: usize| {
            // Right behind the `{`, to the end of the message: the value ends where it ends.
            let rest = body.get(start.checked_sub(1)?..)?;
            serde_json::Deserializer::from_slice(rest).into_iter::<Asked<'_>>().next()?.ok()
        };
        let asked = match &request.params {
            None => Asked::default(),
            Some(params) => match read(params.start) {
                Some(asked) => asked,
                None => return false,
            },
        };
        match request.method(body) {
            Method::Elicit if asked.mode.as_deref() == Some("url") => self.has(Self::URL),
            Method::Elicit => self.has(Self::FORM),
            Method::CreateMessage => {
                let context = asked.context.is_some_and(|context| context != "none");
                self.has(Self::SAMPLING)
                    && (asked.tools.is_none() || self.has(Self::SAMPLING_TOOLS))
                    && (!context || self.has(Self::SAMPLING_CONTEXT))
            }
            Method::ListRoots => self.has(Self::ROOTS),
            _ => false,
        }
    }
}

fn modes<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str, revision: Revision) -> ClientCapabilities {
        ClientCapabilities::parse(raw.as_bytes(), revision)
    }

    #[test]
    fn what_is_declared_depends_on_the_revision() {
        use ClientCapabilities as C;
        let all = r#"{"elicitation":{"form":{},"url":{}},"sampling":{"tools":{},"context":{}},"roots":{"listChanged":true},
            "extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/ui":{"mimeTypes":[]},"x":{}},"experimental":{}}"#;
        let old = C::SAMPLING.with(C::SAMPLING_CONTEXT).with(C::ROOTS).with(C::UI);
        for (revision, expected) in [
            (Revision::V2024_11_05, old),
            (Revision::V2025_03_26, old),
            (Revision::V2025_06_18, old.with(C::FORM)),
            (Revision::V2025_11_25, C::ASKS.with(C::UI)),
            (Revision::V2026_07_28, C::ASKS.with(C::UI).with(C::TASKS)),
        ] {
            assert_eq!(parse(all, revision), expected, "{revision:?}");
        }
        let latest = |raw| parse(raw, Revision::LATEST);
        assert_eq!(latest(r#"{"elicitation":{}}"#), C::FORM);
        assert_eq!(latest(r#"{"elicitation":{"url":{}}}"#), C::URL);
        for nothing in
            ["{}", "[]", "null", r#"{"roots":null}"#, r#"{"roots":{},"roots":{}}"#, r#"{"sampling":true}"#]
        {
            assert_eq!(latest(nothing), C::NONE, "{nothing}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bits in 0..=u8::MAX {
            let set = ClientCapabilities(bits);
            let sane = set.has(ClientCapabilities::SAMPLING)
                || !(set.has(ClientCapabilities::SAMPLING_TOOLS)
                    || set.has(ClientCapabilities::SAMPLING_CONTEXT));
            if sane {
                assert_eq!(parse(&set.write(), Revision::LATEST), set, "{}", set.write());
            }
        }
    }

    #[test]
    fn only_what_was_declared_may_be_asked() {
        use ClientCapabilities as C;
        let forms = r#""method":"elicitation/create","params":{"message":"m","requestedSchema":{}}"#;
        for (request, needed) in [
            (forms, C::FORM),
            (r#""method":"elicitation/create","params":{"mode":"form"}"#, C::FORM),
            (r#""params":{"mode":"url","url":"x"},"method":"elicitation/create""#, C::URL),
            (r#""method":"elicitation/create""#, C::FORM),
            (r#""method":"sampling/createMessage","params":{"includeContext":"none"}"#, C::SAMPLING),
            (
                r#""method":"sampling/createMessage","params":{"tools":[]}"#,
                C::SAMPLING.with(C::SAMPLING_TOOLS),
            ),
            (
                r#""method":"sampling/createMessage","params":{"includeContext":"allServers"}"#,
                C::SAMPLING.with(C::SAMPLING_CONTEXT),
            ),
            (r#""method":"roots/list""#, C::ROOTS),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,{request}}}"#);
            let envelope = Envelope::parse(body.as_bytes()).unwrap();
            assert!(needed.allows(body.as_bytes(), &envelope), "{request}");
            for bit in (0..8).map(|bit| C(1 << bit)).filter(|bit| needed.has(*bit)) {
                assert!(!C(u8::MAX).without(bit).allows(body.as_bytes(), &envelope), "{request}");
            }
        }
        for other in [
            r#""method":"tools/list""#,
            r#""method":"elicitation/create","params":{"mode":"form","mode":"url"}"#,
            r#""method":"elicitation/create","params":{"mode":["url"]}"#,
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,{other}}}"#);
            let envelope = Envelope::parse(body.as_bytes()).unwrap();
            assert!(!C(u8::MAX).allows(body.as_bytes(), &envelope), "{other}");
        }
    }
}
