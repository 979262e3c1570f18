use super::*;
use weir_protocol::{Hint, Revision};

/// Answers each list with pages of these members; a list without any is an error.
struct Pages(Mutex<HashMap<Method, Vec<String>>>);

impl Requester for Pages {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let at: usize =
            members.trim_start_matches(r#""cursor":""#).trim_end_matches('"').parse().unwrap_or(0);
        let pages = self.0.lock();
        let pages = &pages[&method];
        let body = match pages.get(at) {
            Some(page) => {
                let next = (at + 1 < pages.len()).then(|| format!(r#","nextCursor":"{}""#, at + 1));
                let next = next.unwrap_or_default();
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{page}{next}}}}}"#)
            }
            None => r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"m"}}"#.to_owned(),
        };
        Message::parse(body.into())
    }
}

fn features(revision: Revision) -> Features {
    Features { tools: true, resources: true, ..Features::bare(revision) }
}

#[tokio::test]
async fn a_list_lives_as_long_as_its_first_page_to_run_out() {
    let hint = |ttl_ms, public| Hint { ttl_ms, public }.members();
    let page = |key: &str, hint: String| format!(r#""{key}":[],{hint}"#);
    let pages = Pages(Mutex::new(HashMap::from([
        (
            Method::ToolsList,
            [(500_000, true), (100_000, true), (900_000, true)]
                .map(|(ttl, public)| page("tools", hint(ttl, public)))
                .to_vec(),
        ),
        (
            Method::ResourcesList,
            vec![page("resources", hint(500_000, true)), page("resources", hint(500_000, false))],
        ),
        (
            Method::TemplatesList,
            vec![page("resourceTemplates", hint(500_000, true)), r#""resourceTemplates":[]"#.to_owned()],
        ),
    ])));
    let hints = |inventory: &Inventory| {
        inventory.freshness.map(|list| {
            let Hint { ttl_ms, public } = list.hint(Instant::now());
            (ttl_ms.div_ceil(100_000), public)
        })
    };
    let lists = Lists::new("b", 100);
    let fetched = lists.fetch(&pages, features(Revision::LATEST)).await.unwrap();
    assert_eq!(hints(&fetched), [(1, true), (0, false), (5, false), (0, false)]);

    // A list that cannot be fetched is the last one, and stale.
    pages.0.lock().insert(Method::ToolsList, Vec::new());
    let fetched = lists.fetch(&pages, features(Revision::LATEST)).await.unwrap();
    assert_eq!(hints(&fetched), [(0, true), (0, false), (5, false), (0, false)]);

    // What an older server writes there means nothing.
    let fetched = Lists::new("b", 100).fetch(&pages, features(Revision::LATEST_LEGACY)).await.unwrap();
    assert_eq!(fetched.freshness, [Freshness::STALE; 4]);
}
