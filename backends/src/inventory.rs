//! Everything a backend offers, fetched page by page.

use crate::handshake::result_of;
use crate::{BackendError, Features, Message};
use weir_protocol::item::{self, Item};
use weir_protocol::{Method, json};

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

/// Fetches every list that `features` promise. `items` bounds each.
pub(crate) async fn fetch(
    requester: &(impl Requester + Sync),
    features: Features,
    items: usize,
) -> Result<Inventory, BackendError> {
    let (tools, prompts, resources) = (features.tools, features.prompts, features.resources);
    let list = |wanted: bool, method| async move {
        if wanted { fetch_list(requester, method, items).await } else { Ok(Vec::new()) }
    };
    Ok(Inventory {
        tools: list(tools, Method::ToolsList).await?,
        prompts: list(prompts, Method::PromptsList).await?,
        resources: list(resources, Method::ResourcesList).await?,
        templates: list(resources, Method::TemplatesList).await?,
        features,
    })
}

async fn fetch_list(
    requester: &(impl Requester + Sync),
    method: Method,
    items: usize,
) -> Result<Vec<Item>, BackendError> {
    let mut all: Vec<Item> = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let members = cursor.as_ref().map(|raw| format!("\"cursor\":{raw}")).unwrap_or_default();
        let answer = requester.request(method, members).await?;
        let head = match result_of(&answer, method.as_str()) {
            // A server that promises resources need not have templates, whatever it promises.
            Err(BackendError::Answered { code, .. })
                if code == i64::from(weir_protocol::code::METHOD_NOT_FOUND) =>
            {
                return Ok(all);
            }
            head => head?,
        };
        let Some(page) = head.items else {
            return Err(BackendError::Protocol(format!("the result of {} has no list", method.as_str())));
        };
        let page = item::split(page.value.of(&answer.body))
            .map_err(|error| BackendError::Protocol(format!("the result of {}: {error}", method.as_str())))?;
        all.extend(page);
        if all.len() > items {
            return Err(BackendError::Protocol(format!(
                "{} yields more than {items} items; raise the backend's `limits.items` if that is intended",
                method.as_str()
            )));
        }
        // An empty string is a valid cursor; only a missing or null one is the end.
        let next = head.next_cursor.map(|member| member.value.text(&answer.body).to_owned());
        match next.filter(|raw| raw != "null") {
            None => return Ok(all),
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
