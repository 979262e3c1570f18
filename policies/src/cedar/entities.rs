//! Callers and items as entities of Cedar.

use super::class::Class;
use crate::{Action, Context, Item, ItemKind};
use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, ParseErrors, RestrictedExpression};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_config::ClaimKind;
use weir_protocol::Era;

/// The names of entity types, read once.
#[derive(Debug, Clone)]
pub(crate) struct Types {
    client: EntityTypeName,
    group: EntityTypeName,
    backend: EntityTypeName,
    endpoint: EntityUid,
    items: [EntityTypeName; 3],
    actions: [EntityUid; 5],
}

/// Why an entity cannot be made.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// A claim is not what the configuration says.
    Claim(String),
    /// Cedar refused a value.
    Value,
}

type Attributes = HashMap<String, RestrictedExpression>;

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(text))
}

impl Types {
    /// Those of an endpoint.
    pub(crate) fn new(endpoint: &str) -> Result<Self, Box<ParseErrors>> {
        let name = EntityTypeName::from_str;
        let uid = |kind: EntityTypeName, id: &str| EntityUid::from_type_name_and_id(kind, EntityId::new(id));
        let action = name("Action")?;
        Ok(Self {
            client: name("Client")?,
            group: name("Group")?,
            backend: name("Backend")?,
            endpoint: uid(name("Endpoint")?, endpoint),
            items: [
                name(ItemKind::Tool.name())?,
                name(ItemKind::Prompt.name())?,
                name(ItemKind::Resource.name())?,
            ],
            actions: Action::ALL.map(|known| uid(action.clone(), known.name())),
        })
    }

    /// An action.
    pub(crate) fn action(&self, action: Action) -> EntityUid {
        let [call, get, read, subscribe, complete] = &self.actions;
        match action {
            Action::CallTool => call,
            Action::GetPrompt => get,
            Action::ReadResource => read,
            Action::SubscribeResource => subscribe,
            Action::Complete => complete,
        }
        .clone()
    }

    /// A caller.
    pub(crate) fn client(&self, class: &Class<'_>) -> Result<Entity, Unfit> {
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let parents: HashSet<_> = class.groups.iter().map(|group| uid(&self.group, group)).collect();
        let mut claims = Vec::new();
        for (name, kind, value) in &class.claims {
            let value = claim(*kind, value).ok_or_else(|| Unfit::Claim((*name).to_owned()))?;
            claims.push(((*name).to_owned(), value));
        }
        let claims = RestrictedExpression::new_record(claims).map_err(|_| Unfit::Value)?;
        let sets = [("groups", &class.groups), ("roles", &class.roles), ("scopes", &class.scopes)];
        let mut attributes: Attributes =
            sets.into_iter().map(|(name, set)| (name.to_owned(), texts(set.iter().copied()))).collect();
        attributes.insert("claims".to_owned(), claims);
        attributes.extend(class.attributes.iter().map(|(name, value)| ((*name).to_owned(), text(value))));
        Entity::new(uid(&self.client, &class.id), attributes, parents).map_err(|_| Unfit::Value)
    }

    /// An item.
    pub(crate) fn item(&self, item: &Item<'_>) -> Result<Entity, Unfit> {
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let mut attributes: Attributes =
            [("name", item.name), ("original", item.original), ("backend", item.backend)]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), text(value)))
                .collect();
        attributes.insert("tags".to_owned(), texts(item.tags.iter().map(String::as_str)));
        let [tool, prompt, resource] = &self.items;
        let kind = match item.kind {
            ItemKind::Tool => {
                let hints = item.hints;
                let read_only = hints.read_only.unwrap_or(false);
                for (name, value) in [
                    ("read_only", read_only),
                    ("destructive", hints.destructive.unwrap_or(!read_only)),
                    ("idempotent", hints.idempotent.unwrap_or(read_only)),
                    ("open_world", hints.open_world.unwrap_or(true)),
                ] {
                    attributes.insert(name.to_owned(), RestrictedExpression::new_bool(value));
                }
                tool
            }
            ItemKind::Prompt => prompt,
            ItemKind::Resource => {
                let uri = item.uri.unwrap_or(item.name);
                let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
                attributes.insert("uri".to_owned(), text(uri));
                attributes.insert("scheme".to_owned(), text(&scheme));
                resource
            }
        };
        let parents = HashSet::from([uid(&self.backend, item.backend), self.endpoint.clone()]);
        Entity::new(uid(kind, item.name), attributes, parents).map_err(|_| Unfit::Value)
    }
}

/// A claim as what the configuration says that it is.
fn claim(kind: ClaimKind, value: &Value) -> Option<RestrictedExpression> {
    Some(match kind {
        ClaimKind::String => text(value.as_str()?),
        ClaimKind::Integer => RestrictedExpression::new_long(value.as_i64()?),
        ClaimKind::Boolean => RestrictedExpression::new_bool(value.as_bool()?),
        ClaimKind::Strings => match value {
            Value::String(one) => texts([one.as_str()]),
            Value::Array(many) => texts(many.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?),
            _ => return None,
        },
    })
}

/// What policies read of the circumstances.
pub(crate) fn circumstances(
    context: &Context<'_>,
    wanted: &BTreeSet<String>,
) -> Vec<(String, RestrictedExpression)> {
    let mut pairs = Vec::new();
    for name in wanted {
        let value = match name.as_str() {
            "address" => context.address.map(|address| RestrictedExpression::new_ip(plain(address))),
            "era" => Some(text(match context.era {
                Era::Legacy => "legacy",
                Era::Modern => "modern",
            })),
            "time" => Some(RestrictedExpression::new_datetime(datetime(context.time))),
            "retry" => Some(RestrictedExpression::new_bool(context.retry)),
            _ => None,
        };
        pairs.extend(value.map(|value| (name.clone(), value)));
    }
    pairs
}

/// An address, one of IPv4 in the form of IPv6 as what it is.
fn plain(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// A time as Cedar writes it. One before 1970, which no clock shows, is written as 1970.
pub(crate) fn datetime(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Days since 0000-03-01, in eras of 400 years (H. Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let milliseconds = since.subsec_millis();
    format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696, "2000-02-29T12:34:56.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_763_745_621, "2025-11-21T17:20:21.000Z"),
        ] {
            assert_eq!(datetime(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
