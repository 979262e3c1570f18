//! Everything a backend offers, fetched page by page.

use crate::handshake::result_of;
use crate::{BackendError, Features, Freshness, Message};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use tokio::time::Instant;
use weir_protocol::item::{self, Item};
use weir_protocol::mirror::AnnotationError;
use weir_protocol::{Era, Method, json};

/// Everything a backend offers at one time.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// What it said of itself.
    pub features: Features,
    /// Its tools, in its order.
    pub tools: Vec<Item>,
    /// Its prompts, in its order.
    pub prompts: Vec<Item>,
    /// Its resources, in its order.
    pub resources: Vec<Item>,
    /// Its resource templates, in its order.
    pub templates: Vec<Item>,
    /// How long each list is fresh, in the order of the lists above.
    pub freshness: [Freshness; 4],
    /// What could not be fetched or was left out this time.
    pub faults: Vec<ListFault>,
}

impl Inventory {
    /// Whether the lists hold the same items as those of `other`.
    pub fn lists_the_same(&self, other: &Self) -> bool {
        let same = |own: &[Item], other: &[Item]| {
            own.iter().map(|item| &item.raw).eq(other.iter().map(|item| &item.raw))
        };
        same(&self.tools, &other.tools)
            && same(&self.prompts, &other.prompts)
            && same(&self.resources, &other.resources)
            && same(&self.templates, &other.templates)
    }
}

/// A list, or a part of one, that could not be used; the log says so too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListFault {
    /// The method that asks for the list.
    pub method: Method,
    /// The whole list is missing or out of date, not single items of it.
    pub whole: bool,
    /// What is wrong, in words for the operator.
    pub text: String,
}

/// Sends requests of weir's own to one backend.
pub(crate) trait Requester {
    /// Sends `method` with `members` as parameters and waits for the response.
    fn request(
        &self,
        method: Method,
        members: String,
    ) -> impl Future<Output = Result<Message, BackendError>> + Send;
}

/// Pages that one list may have; each holds at least one item of the bounded number, empty pages aside.
const PAGES: usize = 10_000;

/// A server that lets so many lists time out before it answers one is not asked for more.
const SILENCES: usize = 2;

/// One whole list, and how long it is fresh.
#[derive(Debug, Clone)]
struct Listed {
    items: Vec<Item>,
    freshness: Freshness,
}

impl Listed {
    /// Nothing, of which nobody said how long that holds.
    const NOTHING: Self = Self { items: Vec::new(), freshness: Freshness::STALE };
}

/// Fetches the lists of one backend and keeps the last good ones.
#[derive(Debug)]
pub(crate) struct Lists {
    backend: String,
    /// Bounds the items of each list.
    items: usize,
    last: Mutex<HashMap<Method, Listed>>,
    /// The tools that were last left out for their annotations, and why.
    rejected: Mutex<BTreeMap<String, AnnotationError>>,
    /// What was wrong with them this time; at most one fault for each page.
    faults: Mutex<Vec<ListFault>>,
}

impl Lists {
    /// Nothing has been fetched yet from `backend`; `items` bounds each list.
    pub(crate) fn new(backend: &str, items: usize) -> Self {
        Self {
            backend: backend.to_owned(),
            items,
            last: Mutex::default(),
            rejected: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    /// Fetches every list that `features` promise. A list that fails alone keeps its last good value.
    ///
    /// # Errors
    /// The backend cannot be asked, or every list fails.
    pub(crate) async fn fetch(
        &self,
        requester: &(impl Requester + Sync),
        features: Features,
    ) -> Result<Inventory, BackendError> {
        let wanted = [
            (Method::ToolsList, features.tools),
            (Method::PromptsList, features.prompts),
            (Method::ResourcesList, features.resources),
            (Method::TemplatesList, features.resources),
        ];
        self.faults.lock().clear();
        let mut fetched = false;
        let mut failed: Option<BackendError> = None;
        let mut silences = 0;
        for (method, wanted) in wanted {
            let list = if wanted {
                fetch_list(requester, method, self).await.inspect(|_| fetched = true)
            } else {
                Ok(Listed::NOTHING)
            };
            match list {
                Ok(mut list) => {
                    if method == Method::ToolsList {
                        list.items = self.admitted(list.items);
                    }
                    // What an older server calls a time to live is its own affair.
                    if features.revision.era() == Era::Legacy {
                        list.freshness = Freshness::STALE;
                    }
                    self.last.lock().insert(method, list);
                }
                Err(error) if error.concerns_one_list() => {
                    let list = method.as_str();
                    tracing::warn!(backend = self.backend, list, %error, "the last known list stays");
                    let text = error.explained();
                    self.faults.lock().push(ListFault { method, whole: true, text });
                    if let Some(list) = self.last.lock().get_mut(&method) {
                        list.freshness = Freshness { until: None, ..list.freshness };
                    }
                    silences += usize::from(matches!(error, BackendError::Timeout { .. }));
                    let error = failed.get_or_insert(error);
                    // Of a server that is silent altogether not every list is waited for.
                    if silences == SILENCES && !fetched {
                        return Err(error.clone());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = failed.filter(|_| !fetched) {
            return Err(error);
        }
        let last = self.last.lock();
        let list = |method| last.get(&method).map(|list| list.items.clone()).unwrap_or_default();
        let fresh = |(method, _)| last.get(&method).map_or(Freshness::STALE, |list| list.freshness);
        Ok(Inventory {
            tools: list(Method::ToolsList),
            prompts: list(Method::PromptsList),
            resources: list(Method::ResourcesList),
            templates: list(Method::TemplatesList),
            freshness: wanted.map(fresh),
            faults: std::mem::take(&mut self.faults.lock()),
            features,
        })
    }

    /// The tools as they are now, asked for alone.
    pub(crate) async fn tools(&self, requester: &(impl Requester + Sync)) -> Result<Vec<Item>, BackendError> {
        fetch_list(requester, Method::ToolsList, self).await.map(|list| list.items)
    }

    /// The tools without those whose annotations break a rule: a client must not see them (2026-07-28 `server/tools`
    /// "x-mcp-header"). Logged when it begins, not at every refresh.
    fn admitted(&self, mut tools: Vec<Item>) -> Vec<Item> {
        let mut rejected = BTreeMap::new();
        tools.retain(|tool| match tool.mirrors() {
            Ok(_) => true,
            Err(error) => {
                rejected.insert(tool.name().unwrap_or_default(), error);
                false
            }
        });
        let mut known = self.rejected.lock();
        for (tool, reason) in rejected.iter().filter(|(tool, reason)| known.get(*tool) != Some(*reason)) {
            tracing::warn!(backend = self.backend, ?tool, %reason, "a tool is left out");
        }
        *known = rejected;
        tools
    }

    /// The items of one page; what is no item is left out.
    fn page(&self, method: Method, array: &[u8]) -> Result<Vec<Item>, BackendError> {
        let page = item::split(array)
            .map_err(|error| BackendError::Protocol(format!("the result of {}: {error}", method.as_str())))?;
        let (mut items, mut skipped, mut first) = (Vec::with_capacity(page.len()), 0_usize, None);
        for item in page {
            match item {
                Ok(item) => items.push(item),
                Err(error) => {
                    skipped += 1;
                    first.get_or_insert(error);
                }
            }
        }
        if let Some(error) = first {
            let list = method.as_str();
            tracing::warn!(backend = self.backend, list, skipped, %error, "invalid items are left out");
            let text = format!("{skipped} invalid items of a page were left out, the first because {error}");
            self.faults.lock().push(ListFault { method, whole: false, text });
        }
        Ok(items)
    }
}

async fn fetch_list(
    requester: &(impl Requester + Sync),
    method: Method,
    lists: &Lists,
) -> Result<Listed, BackendError> {
    let mut all: Vec<Item> = Vec::new();
    let mut freshness: Option<Freshness> = None;
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let members = cursor.as_ref().map(|raw| format!("\"cursor\":{raw}")).unwrap_or_default();
        let answer = requester.request(method, members).await?;
        let head = match result_of(&answer, method.as_str()) {
            // A server that promises resources need not have templates, whatever it promises.
            Err(BackendError::Answered { code, .. })
                if code == i64::from(weir_protocol::code::METHOD_NOT_FOUND) =>
            {
                return Ok(Listed { items: all, freshness: Freshness::STALE });
            }
            head => head?,
        };
        // Each page has a life of its own, which begins as it comes.
        let page_freshness = Freshness::of(head.hint(&answer.body), Instant::now());
        let freshness =
            *freshness.insert(freshness.map_or(page_freshness, |before| before.and(page_freshness)));
        let Some(page) = head.items else {
            return Err(BackendError::Protocol(format!("the result of {} has no list", method.as_str())));
        };
        all.extend(lists.page(method, page.value.of(&answer.body))?);
        let items = lists.items;
        if all.len() > items {
            return Err(BackendError::Protocol(format!(
                "{} yields more than {items} items; raise the backend's `limits.items` if that is intended",
                method.as_str()
            )));
        }
        // An empty string is a valid cursor; only a missing or null one is the end.
        let next = head.next_cursor.map(|member| member.value.text(&answer.body).to_owned());
        match next.filter(|raw| raw != "null") {
            None => return Ok(Listed { items: all, freshness }),
            Some(raw) if json::as_str(raw.as_bytes()).is_none() || Some(&raw) == cursor.as_ref() => {
                return Err(BackendError::Protocol(format!(
                    "{} yields a cursor that leads nowhere",
                    method.as_str()
                )));
            }
            raw => cursor = raw,
        }
    }
    Err(BackendError::Protocol(format!("{} has more than {PAGES} pages", method.as_str())))
}

#[cfg(test)]
mod tests;
