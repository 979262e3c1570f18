//! Changing a message: the spliced bytes read as the message would, had its tree been edited; what no edit names keeps its
//! order and its spelling.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_fuzz::{Dice, Tree};
use weir_protocol::{Envelope, Meta, Params, Splice, json, meta};

/// What a hop declares of itself.
const HOP: [&str; 5] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
    meta::RELATED_TASK,
];
const SERVER_INFO: &str = r#"{"name":"weir"}"#;

fuzz_target!(|body: &[u8]| {
    let Ok(envelope) = Envelope::parse(body) else {
        return;
    };
    let Some(mut tree) = Tree::parse(body) else {
        return;
    };
    let mut dice = Dice::of(body);
    let mut splice = Splice::new(body);
    if let Some(id) = envelope.id {
        splice.replace(id, &b"7"[..]);
        *tree.get("id").expect("there is an id") = Tree::scalar("7");
    }
    let mut fits = true;
    if let Some(params) = &envelope.params {
        let own = tree.get("params").expect("there are parameters");
        let meta = envelope.meta(body);
        fits = meta.is_ok();
        edit_params(&mut dice, &mut splice, body, params, meta.ok().flatten().as_ref(), own);
    }
    if let Some(result) = &envelope.result {
        let own = tree.get("result").expect("there is a result");
        if dice.flip() {
            result.make_legacy(&mut splice, body);
            own.remove(&["resultType", "ttlMs", "cacheScope"]);
        } else {
            let cacheable = dice.flip();
            fits &= result.make_modern(&mut splice, body, cacheable, SERVER_INFO).is_ok();
            if fits {
                make_modern(own, cacheable);
            }
        }
    }
    if splice.is_untouched() {
        assert_eq!(&splice.finish()[..], body);
        return;
    }
    let spliced = splice.finish();
    if fits {
        assert_eq!(Tree::parse(&spliced).expect("it is as deep as it was"), tree);
        assert!(Envelope::parse(&spliced).is_ok());
    }
    let line = json::single_line(spliced.clone());
    assert_eq!(Tree::parse(&line), Tree::parse(&spliced));
    assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
});

fn edit_params(
    dice: &mut Dice,
    splice: &mut Splice<'_>,
    body: &[u8],
    params: &Params,
    meta: Option<&Meta>,
    tree: &mut Tree,
) {
    if let Some(name) = params.name.filter(|_| dice.flip()) {
        let text = dice.pick(&["x", "a\"b\\", "\n\u{1}", "世界 🦀", ""]);
        splice.replace(name, json::string(text));
        *tree.get("name").expect("there is a name") =
            Tree::Scalar(String::from_utf8(json::string(text)).unwrap());
    }
    match meta {
        Some(meta) => {
            let own = tree.get("_meta").expect("there is `_meta`");
            if let Some(token) = meta.progress_token {
                splice.replace(token, &b"7"[..]);
                *own.get("progressToken").expect("there is a token") = Tree::scalar("7");
            }
            if dice.flip() {
                meta.strip_hop(splice, body);
                own.remove(&HOP);
                assert_eq!(own.members().is_empty(), meta.is_only_hop());
                if dice.flip() {
                    let separator = if meta.is_only_hop() { "" } else { "," };
                    splice.insert(meta.start, format!("\"hop\":1{separator}").into_bytes());
                    own.prepend(vec![("hop", Tree::scalar("1"))]);
                }
            }
        }
        // As a message without parameters names nothing, there is always something behind what is put in.
        None if params.meta.is_none() && !tree.members().is_empty() => {
            splice.insert(params.start, &b"\"_meta\":{},"[..]);
            tree.prepend(vec![("_meta", Tree::Object(Vec::new()))]);
        }
        None => {}
    }
}

fn make_modern(tree: &mut Tree, cacheable: bool) {
    let info = || Tree::parse(SERVER_INFO.as_bytes()).expect("it is flat");
    match tree.get("_meta") {
        Some(own) => match own.get(meta::SERVER_INFO) {
            Some(theirs) => *theirs = info(),
            None => own.prepend(vec![(meta::SERVER_INFO, info())]),
        },
        None => {
            tree.prepend(vec![("_meta", Tree::Object(vec![(format!("\"{}\"", meta::SERVER_INFO), info())]))])
        }
    }
    let wanted = [
        ("resultType", "\"complete\"", true),
        ("ttlMs", "0", cacheable),
        ("cacheScope", "\"private\"", cacheable),
    ];
    for (key, value, wanted) in wanted.into_iter().rev() {
        if wanted && tree.get(key).is_none() {
            tree.prepend(vec![(key, Tree::scalar(value))]);
        }
    }
}
