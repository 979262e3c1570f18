//! Lists that change while clients read them: a client gets the whole of one list or is told to begin again, and whoever
//! listens hears of every change.

use super::*;
use crate::catalog::View;
use crate::hub::Subscription;
use bytes::Bytes;
use futures_util::FutureExt;
use proptest::prelude::*;
use weir_backends::{Features, Inventory};
use weir_config::Conflicts;
use weir_protocol::Revision;
use weir_protocol::item::split;

const PAGE: usize = 2;

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// A backend offers these items in one of its lists.
    Change { backend: usize, list: List, items: Items, announced: Option<Topic> },
    /// A backend that has never answered takes the place of one.
    Silence { backend: usize },
    /// The lists are fetched again and nothing is new.
    Refresh,
    /// A client begins to read a list.
    Begin { client: usize, list: List },
    /// A client asks for its next page.
    Continue { client: usize },
    /// A stream of changes is opened.
    Subscribe,
}

/// So many items, as their backend wrote them in this edition.
#[derive(Debug, Clone, Copy, Default)]
struct Items {
    count: usize,
    edition: u8,
}

/// What a backend offers in each of its lists.
type Offer = [Items; 4];

/// A client within a list.
struct Reader {
    list: List,
    cursor: String,
    /// How many different catalogs there had been when it began.
    begun: usize,
    whole: Vec<Bytes>,
    read: Vec<Bytes>,
}

fn stock(name: &str, offer: Option<Offer>) -> Stock {
    let inventory = offer.map(|[tools, prompts, resources, templates]| {
        let items = |key: &str, text: &str, Items { count, edition }: Items| {
            let items: Vec<String> =
                (0..count).map(|at| format!(r#"{{"{key}":"{text}{at}","v":{edition}}}"#)).collect();
            let items = format!("[{}]", items.join(","));
            split(items.as_bytes()).unwrap().into_iter().collect::<Result<Vec<_>, _>>().unwrap()
        };
        Arc::new(Inventory {
            features: Features {
                tools: true,
                prompts: true,
                resources: true,
                ..Features::bare(Revision::LATEST)
            },
            tools: items("name", "t", tools),
            prompts: items("name", "p", prompts),
            resources: items("uri", "r:", resources),
            templates: items("uriTemplate", "r:{x}/", templates),
            freshness: [weir_backends::Freshness::STALE; 4],
            faults: Vec::new(),
        })
    });
    Stock { name: name.to_owned(), inventory }
}

/// The items of a page as clients see them.
fn items(page: &catalog::Page, list: List) -> Vec<Bytes> {
    let body = [&page.body(View::Modern)[..], b"}"].concat();
    let mut body: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_slice(&body).unwrap();
    let array = body.remove(list.key()).unwrap();
    split(array.get().as_bytes()).unwrap().into_iter().map(|item| item.unwrap().raw).collect()
}

fn rendered(catalog: &Catalog, list: List) -> Vec<Bytes> {
    catalog.shelf(list).entries.iter().map(|entry| entry.rendered.clone()).collect()
}

fn heard(subscription: &mut Subscription) -> Vec<Topic> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten()).flatten().collect()
}

/// An endpoint with those who use it.
struct Scene {
    endpoint: Endpoint,
    offers: [Option<Offer>; 2],
    readers: [Option<Reader>; 3],
    prompt: Subscription,
    /// Streams that nobody reads until the end, with what they must tell.
    idle: Vec<(Subscription, Vec<Topic>)>,
    /// How many different catalogs there have been.
    changes: usize,
}

impl Scene {
    fn new(conflicts: Conflicts) -> Self {
        let spec = weir_config::Endpoint {
            conflicts,
            page_size: PAGE,
            ..weir_config::Endpoint::over("e", "/mcp", ["a", "b"].map(String::from).to_vec())
        };
        let policies = Policies::anonymous();
        let endpoint =
            Endpoint::new(spec, Vec::new(), None, 1, crate::entrance::tests::open(), policies).unwrap();
        let prompt = endpoint.hub.subscribe(None);
        Self {
            endpoint,
            offers: [None; 2],
            readers: [const { None }; 3],
            prompt,
            idle: Vec::new(),
            changes: 0,
        }
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Change { backend, list, items, announced } => {
                self.offers[backend].get_or_insert_default()[list as usize] = items;
                self.rebuild(announced.as_slice());
            }
            Step::Silence { backend } => {
                self.offers[backend] = None;
                self.rebuild(&[]);
            }
            Step::Refresh => self.rebuild(&[]),
            Step::Begin { client, list } => self.begin(client, list),
            Step::Continue { client } => self.proceed(client),
            Step::Subscribe => self.idle.push((self.endpoint.hub.subscribe(None), Vec::new())),
        }
    }

    fn whole(&self, list: List) -> Vec<Bytes> {
        rendered(&self.endpoint.catalog(), list)
    }

    fn rebuild(&mut self, announced: &[Topic]) {
        let [first, second] = self.offers;
        let held = self.endpoint.catalog();
        let before = List::ALL.map(|list| self.whole(list));
        let rebuilt = self.endpoint.rebuild_of(&[stock("a", first), stock("b", second)], announced);
        assert_eq!(List::ALL.map(|list| rendered(&held, list)), before, "what was held has changed");
        let now = self.endpoint.catalog();
        // An item that goes to another owner is another item.
        let differs = |list: &List| now.shelf(*list).entries != held.shelf(*list).entries;
        let mut expected: Vec<Topic> = List::ALL.into_iter().filter(differs).map(Topic::of).collect();
        if rebuilt.is_err() {
            assert!(expected.is_empty(), "the last good catalog stays");
        } else {
            self.changes += usize::from(!expected.is_empty());
            expected.extend(announced);
        }
        let told = heard(&mut self.prompt);
        for topic in Topic::ALL {
            let count = told.iter().filter(|told| **told == topic).count();
            assert_eq!(count, usize::from(expected.contains(&topic)), "{told:?} of {expected:?}");
        }
        for (_, owed) in &mut self.idle {
            owed.extend(&told);
        }
    }

    fn begin(&mut self, client: usize, list: List) {
        let catalog = self.endpoint.catalog();
        self.readers[client] = Some(Reader {
            list,
            cursor: String::new(),
            begun: self.changes,
            whole: self.whole(list),
            read: Vec::new(),
        });
        self.turn(client, &catalog, 0);
    }

    fn proceed(&mut self, client: usize) {
        let Some(reader) = &self.readers[client] else {
            return;
        };
        match self.endpoint.resume(reader.list, &Principal::anonymous(), &reader.cursor) {
            Some((catalog, first)) => self.turn(client, &catalog, first),
            None => {
                assert!(self.changes - reader.begun >= KEPT, "refused although it is still held");
                self.readers[client] = None;
            }
        }
        let other = List::ALL[client];
        if let Some(reader) = &self.readers[client]
            && reader.list != other
        {
            let anonymous = Principal::anonymous();
            assert!(
                self.endpoint.resume(other, &anonymous, &reader.cursor).is_none(),
                "a cursor of another list"
            );
            let bob = Principal::of("https://issuer", "bob");
            assert!(self.endpoint.resume(reader.list, &bob, &reader.cursor).is_none(), "another's cursor");
        }
    }

    /// Reads the page that begins at item `first`.
    fn turn(&mut self, client: usize, catalog: &Catalog, first: usize) {
        let mut reader = self.readers[client].take().unwrap();
        let page = catalog.shelf(reader.list).whole().at(first).expect("the cursor leads to a page");
        reader.read.extend(items(page, reader.list));
        match page.next {
            Some(next) => {
                reader.cursor = self.endpoint.cursor(reader.list, &Principal::anonymous(), catalog, next);
                self.readers[client] = Some(reader);
            }
            None => assert_eq!(reader.read, reader.whole, "the list is not whole"),
        }
    }

    fn end(mut self) {
        for client in 0..self.readers.len() {
            while self.readers[client].is_some() {
                self.proceed(client);
            }
        }
        for (mut subscription, owed) in self.idle {
            let told = heard(&mut subscription);
            assert!(owed.iter().all(|topic| told.contains(topic)), "{told:?} of {owed:?}");
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let topic = prop::option::weighted(0.2, prop::sample::select(Topic::ALL.to_vec()));
    let list = || prop::sample::select(List::ALL.to_vec());
    let items = (0usize..9, 0u8..2).prop_map(|(count, edition)| Items { count, edition });
    prop_oneof![
        12 => (0usize..2, list(), items, topic).prop_map(|(backend, list, items, announced)| {
            Step::Change { backend, list, items, announced }
        }),
        1 => (0usize..2).prop_map(|backend| Step::Silence { backend }),
        1 => Just(Step::Refresh),
        8 => (0usize..3, list()).prop_map(|(client, list)| Step::Begin { client, list }),
        16 => (0usize..3).prop_map(|client| Step::Continue { client }),
        2 => Just(Step::Subscribe),
    ]
}

proptest! {
    #[test]
    fn no_interleaving_of_changes_and_pages_loses_one(
        conflicts in prop::sample::select(vec![
            Conflicts::Priority,
            Conflicts::None,
            Conflicts::Manual,
            Conflicts::Prefix("{backend}_".to_owned()),
        ]),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut scene = Scene::new(conflicts);
        steps.into_iter().for_each(|step| scene.play(step));
        scene.end();
    }
}

/// Policies are taught only where tools changed, and know each that is shown, of whichever backend.
#[test]
fn policies_know_the_arguments_of_the_tools_that_are_shown() {
    let text = "permit(principal, action == Action::\"call_tool\", resource) when { context.arguments has x && context.arguments.x == \"y\" };";
    let source = weir_config::PolicySource {
        file: "main.cedar".into(),
        text: text.to_owned(),
        lines_before: 0,
        indented: 0,
    };
    let configured = weir_config::Policies { sources: vec![source], ..weir_config::Policies::default() };
    let policies = Policies::new(&configured, "e", &[]).unwrap();
    let spec = weir_config::Endpoint {
        conflicts: Conflicts::Priority,
        policies: Some(configured),
        ..weir_config::Endpoint::over("e", "/mcp", ["a", "b"])
    };
    let endpoint =
        Endpoint::new(spec, Vec::new(), None, 1, crate::entrance::tests::open(), policies).unwrap();
    let offering = |name: &str, kind: Option<&str>, resources: usize| {
        let items = Items { count: resources, edition: 0 };
        let Stock { name, inventory } =
            stock(name, Some([Items::default(), Items::default(), items, Items::default()]));
        let mut inventory = Inventory::clone(&inventory.unwrap());
        let tool = |kind| {
            format!(
                r#"{{"name":"t","inputSchema":{{"type":"object","properties":{{"x":{{"type":"{kind}"}}}}}}}}"#
            )
        };
        let tools = format!("[{}]", kind.map(tool).unwrap_or_default());
        inventory.tools = split(tools.as_bytes()).unwrap().into_iter().collect::<Result<_, _>>().unwrap();
        Stock { name, inventory: Some(Arc::new(inventory)) }
    };
    let who = Arc::new(Principal::anonymous());
    let may = |a: Option<&str>, b: Option<&str>, resources| {
        endpoint.fill_with(&[offering("a", a, resources), offering("b", b, 0)]).unwrap();
        let catalog = endpoint.catalog();
        let entry = catalog.shelf(List::Tools).entries.first()?;
        let item = decision::item(&endpoint.spec, weir_policies::ItemKind::Tool, entry);
        let context = weir_policies::Context {
            arguments: Some(r#"{"x":"y"}"#),
            ..weir_policies::Context::now(weir_protocol::Era::Modern)
        };
        Some(endpoint.policies.permit(&who, weir_policies::Action::CallTool, &item, &context).is_ok())
    };
    let (text, number) = (Some("string"), Some("integer"));
    assert_eq!(may(None, None, 0), None);
    assert_eq!(may(text, None, 0), Some(true));
    assert_eq!(may(text, None, 0), Some(true), "nothing is new");
    assert_eq!(may(text, None, 2), Some(true), "another list is");
    assert_eq!(may(number, text, 2), Some(false), "it takes something else now");
    assert_eq!(may(None, text, 2), Some(true), "another backend has it now");
    assert_eq!(may(None, None, 2), None);
    assert_eq!(may(text, None, 1), Some(true));
}
