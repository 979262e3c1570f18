//! Tokens that the issuer is asked about.

use super::idp::{Bench, ISSUER, Key, issuer, with, without};
use crate::{Evidence, RejectionKind};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use weir_config::{ClientAuthentication, Introspection, Secret};

const ASK: &str = "https://idp.example.com/ask";

fn asking() -> Introspection {
    Introspection {
        url: None,
        client_id: "we:ir".to_owned(),
        client_secret: Secret::new("s&cret".to_owned()),
        method: ClientAuthentication::Basic,
        opaque: true,
        cache: Duration::from_secs(30),
        every: None,
    }
}

fn bench(change: impl FnOnce(&mut Introspection)) -> Bench {
    let mut introspection = asking();
    change(&mut introspection);
    Bench::new(&[], |auth| auth.issuers[0].introspection = Some(introspection))
}

fn answer(bench: &Bench) -> Value {
    with(with(bench.claims(), "active", json!(true)), "token_type", json!("Bearer"))
}

#[tokio::test]
async fn an_opaque_token_is_good_where_its_issuer_says_so() {
    let bench = bench(|_| {});
    bench.page(ASK, 200, &with(answer(&bench), "client_id", json!("app")).to_string());
    let principal = bench.bearer("opaque~token").await.unwrap();
    assert_eq!((principal.issuer(), principal.subject(), principal.client()), (ISSUER, "ada", Some("app")));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(bench.clock.seconds() + 600);
    assert_eq!((principal.until(), principal.scopes()), (Some(end), &["mcp".to_owned()][..]));
    {
        let asked = bench.idp.asked.lock();
        let (_, body, credential) = asked.iter().find(|(url, ..)| url == ASK).unwrap();
        assert_eq!(body, "token=opaque%7Etoken&token_type_hint=access_token");
        // `we%3Air:s%26cret` in base64.
        assert_eq!(credential.as_deref(), Some("Basic d2UlM0FpcjpzJTI2Y3JldA=="));
    }
    // Its answer is kept for as long as the configuration says, and not longer.
    bench.clock.pass(Duration::from_secs(29));
    assert!(bench.bearer("opaque~token").await.is_ok());
    assert_eq!(bench.asked("/ask"), 1);
    bench.clock.pass(Duration::from_secs(1));
    bench.page(ASK, 200, r#"{"active":false}"#);
    assert_eq!(bench.bearer("opaque~token").await.unwrap_err().kind, RejectionKind::Invalid);
    assert_eq!(bench.asked("/ask"), 2);
    // A bad one is not asked about by every request.
    assert!(bench.bearer("opaque~token").await.is_err());
    assert_eq!(bench.asked("/ask"), 2);
}

#[tokio::test]
async fn name_and_secret_may_stand_in_the_body() {
    let bench = bench(|asking| {
        asking.method = ClientAuthentication::Post;
        asking.url = Some("https://idp.example.com/other/ask".to_owned());
    });
    bench.page("https://idp.example.com/other/ask", 200, &answer(&bench).to_string());
    assert!(bench.bearer("t").await.is_ok());
    let asked = bench.idp.asked.lock();
    let (_, body, credential) = &asked[0];
    assert_eq!(body, "token=t&token_type_hint=access_token&client_id=we%3Air&client_secret=s%26cret");
    assert_eq!(*credential, None);
}

#[tokio::test]
async fn what_an_issuer_says_is_held_against_the_configuration() {
    let invalid = RejectionKind::Invalid;
    let unavailable = RejectionKind::Unavailable;
    let bench = bench(|_| {});
    let good = answer(&bench);
    let now = bench.clock.seconds();
    let cases = [
        ("another audience", 200, with(good.clone(), "aud", json!("x")).to_string(), &invalid),
        ("no audience", 200, without(good.clone(), "aud").to_string(), &invalid),
        ("another issuer", 200, with(good.clone(), "iss", json!("https://x")).to_string(), &invalid),
        ("ended", 200, with(good.clone(), "exp", json!(now)).to_string(), &invalid),
        (
            "a refresh token",
            200,
            with(good.clone(), "token_type", json!("refresh_token")).to_string(),
            &invalid,
        ),
        ("bound by DPoP", 200, with(good.clone(), "token_type", json!("DPoP")).to_string(), &invalid),
        ("no subject", 200, without(good.clone(), "sub").to_string(), &invalid),
        ("active in words", 200, with(good.clone(), "active", json!("true")).to_string(), &unavailable),
        ("active as a number", 200, with(good.clone(), "active", json!(1)).to_string(), &unavailable),
        ("nothing", 200, "{}".to_owned(), &unavailable),
        ("active twice", 200, format!(r#"{{"active":false,{}"#, &good.to_string()[1..]), &unavailable),
        ("refused", 401, good.to_string(), &unavailable),
        ("created", 201, good.to_string(), &unavailable),
        ("no JSON", 200, "active".to_owned(), &unavailable),
    ];
    for (index, (name, status, page, kind)) in cases.into_iter().enumerate() {
        bench.page(ASK, status, &page);
        let rejection = bench.bearer(&format!("t{index}")).await.unwrap_err();
        assert_eq!(rejection.kind, *kind, "{name}: {}", rejection.reason);
    }
    bench.page(ASK, 200, &without(good, "iss").to_string());
    assert!(bench.bearer("without-iss").await.is_ok());
    bench.idp.pages.lock().clear();
    assert_eq!(bench.bearer("down").await.unwrap_err().kind, unavailable);
}

#[tokio::test]
async fn a_token_without_an_end_is_good_for_a_minute() {
    let bench = bench(|asking| asking.cache = Duration::ZERO);
    bench.page(ASK, 200, &without(answer(&bench), "exp").to_string());
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(bench.clock.seconds() + 60);
    assert_eq!(bench.bearer("t").await.unwrap().until(), Some(end));
    assert!(bench.bearer("t").await.is_ok());
    assert_eq!(bench.asked("/ask"), 2, "an answer is not kept");
}

#[tokio::test]
async fn a_client_that_acts_for_itself_is_its_own_subject() {
    let bench = bench(|_| {});
    let own = with(without(answer(&bench), "sub"), "client_id", json!("agent"));
    bench.page(ASK, 200, &own.to_string());
    assert_eq!(bench.bearer("t").await.unwrap().subject(), "client_id:agent");
    for name in ["username", "preferred_username", "email", "upn"] {
        bench.page(ASK, 200, &with(own.clone(), name, json!("ada")).to_string());
        assert_eq!(bench.bearer(name).await.unwrap_err().kind, RejectionKind::Invalid, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_is_called_like_a_user_is_not_that_user() {
    let bench = bench(|_| {});
    bench.page(ASK, 200, &answer(&bench).to_string());
    let user = bench.bearer("user").await.unwrap();
    let client = with(without(answer(&bench), "sub"), "client_id", json!("ada"));
    bench.page(ASK, 200, &client.to_string());
    let client = bench.bearer("client").await.unwrap();
    assert_ne!(client, user);
    bench.page(ASK, 200, &with(answer(&bench), "sub", json!(client.subject())).to_string());
    assert_eq!(bench.bearer("alike").await.unwrap_err().kind, RejectionKind::Invalid);
}

#[tokio::test]
async fn a_signed_token_goes_to_nobody_but_its_issuer() {
    let (key, own) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[key.public("a")], |auth| {
        let mut other = issuer("https://other.example.com");
        other.introspection = Some(Introspection { url: Some(ASK.to_owned()), ..asking() });
        auth.issuers.push(other);
    });
    bench.page(ASK, 200, &answer(&bench).to_string());
    let claims = bench.claims();
    let header = r#"{"alg":"ES256","kid":"a"}"#;
    let blank = format!(" {header}");
    for (name, token) in [
        ("forged", own.token(header, &claims.to_string())),
        ("of nobody", key.token(header, &with(claims.clone(), "iss", json!("https://nobody")).to_string())),
        ("without issuer", key.token(header, &without(claims.clone(), "iss").to_string())),
        ("ended", key.token(header, &with(claims.clone(), "exp", json!(1)).to_string())),
        ("a part more", format!("{}.x", key.token(header, &claims.to_string()))),
        ("a part less", key.token(header, &claims.to_string()).rsplit_once('.').unwrap().0.to_owned()),
        ("begun by a blank", key.token(&blank, &claims.to_string()).replacen('.', "..", 1)),
    ] {
        assert!(bench.bearer(&token).await.is_err(), "{name}");
    }
    assert_eq!(bench.asked("/ask"), 0);
    assert!(bench.bearer(&key.token(header, &claims.to_string())).await.is_ok());
    assert_eq!(bench.asked("/ask"), 0);
    // What nobody can read may be the other's.
    assert_eq!(bench.bearer("opaque").await.unwrap_err().kind, RejectionKind::Invalid);
    assert_eq!(bench.asked("/ask"), 1);
}

#[tokio::test]
async fn a_verified_token_is_asked_about_again_and_again() {
    let key = Key::p256();
    let mut introspection = asking();
    introspection.every = Some(Duration::from_secs(60));
    introspection.opaque = false;
    let bench = Bench::new(&[key.public("a")], |auth| auth.issuers[0].introspection = Some(introspection));
    bench.page(ASK, 200, r#"{"active":true}"#);
    let token = key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string());
    assert!(bench.bearer(&token).await.is_ok());
    bench.clock.pass(Duration::from_secs(59));
    assert!(bench.bearer(&token).await.is_ok());
    assert_eq!(bench.asked("/ask"), 1);
    bench.clock.pass(Duration::from_secs(1));
    assert!(bench.bearer(&token).await.is_ok());
    assert_eq!(bench.asked("/ask"), 2);
    bench.clock.pass(Duration::from_secs(60));
    bench.page(ASK, 500, "");
    assert_eq!(bench.bearer(&token).await.unwrap_err().kind, RejectionKind::Unavailable);
    bench.page(ASK, 200, r#"{"active":false}"#);
    assert_eq!(bench.bearer(&token).await.unwrap_err().kind, RejectionKind::Invalid);
    // What is refused stays so, and an opaque token is not asked about.
    assert_eq!(bench.bearer(&token).await.unwrap_err().kind, RejectionKind::Invalid);
    assert_eq!(bench.bearer("opaque").await.unwrap_err().kind, RejectionKind::Invalid);
    assert_eq!(bench.asked("/ask"), 4);
}

#[tokio::test]
async fn a_token_of_what_lasts_is_asked_about_once_a_round() {
    let bench = bench(|_| {});
    bench.page(ASK, 200, &answer(&bench).to_string());
    let principal = bench.bearer("opaque").await.unwrap();
    let due = || bench.authenticator.due(&principal).unwrap();
    assert_eq!((due().after, due().grace), (Duration::from_secs(30), Duration::from_secs(30)));
    assert!(bench.review(&principal).await.is_ok());
    assert_eq!(bench.asked("/ask"), 1, "what is known is not asked");
    let review_all = async || {
        let review = || bench.review(&principal);
        <[_; 4]>::from(tokio::join!(review(), review(), review(), review()))
    };
    bench.clock.pass(Duration::from_secs(30));
    assert_eq!((due().after, due().newest), (Duration::ZERO, None));
    let more = with(answer(&bench), "groups", json!(["more"]));
    bench.page(ASK, 200, &more.to_string());
    for newest in review_all().await {
        assert_eq!(newest.unwrap().groups(), ["more"], "what the issuer says now counts");
    }
    assert_eq!(bench.asked("/ask"), 2, "however many ask");
    assert_eq!(due().newest.unwrap().groups(), ["more"]);
    // Nobody knows.
    bench.clock.pass(Duration::from_secs(30));
    bench.page(ASK, 503, "");
    assert_eq!(bench.review(&principal).await.unwrap_err().kind, RejectionKind::Unavailable);
    assert_eq!(due().newest, None);
    // It is somebody else's now, and then nobody's.
    bench.page(ASK, 200, &with(answer(&bench), "sub", json!("eve")).to_string());
    assert!(bench.review(&principal).await.is_err());
    assert_eq!(due().newest, None);
    bench.clock.pass(Duration::from_secs(30));
    bench.page(ASK, 200, r#"{"active":false}"#);
    let asked = bench.asked("/ask");
    for rejection in review_all().await {
        assert_eq!(rejection.unwrap_err().kind, RejectionKind::Invalid);
    }
    assert_eq!(bench.asked("/ask"), asked + 1);
}

/// A bench that asks about opaque tokens, and again and again about a verified one, which is `signed`.
async fn both() -> (Bench, String) {
    let key = Key::p256();
    let introspection = Introspection { every: Some(Duration::from_secs(60)), ..asking() };
    let bench = Bench::new(&[key.public("a")], |auth| auth.issuers[0].introspection = Some(introspection));
    bench.page(ASK, 200, &answer(&bench).to_string());
    let signed = key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string());
    assert!(bench.bearer(&signed).await.is_ok() && bench.bearer("opaque").await.is_ok());
    (bench, signed)
}

#[tokio::test]
async fn strangers_who_keep_the_issuer_busy_do_not_keep_out_who_is_known() {
    let (bench, signed) = both().await;
    *bench.idp.hangs.lock() = Some("token=garbage");
    for number in 0..64 {
        let token = format!("garbage{number}");
        tokio::select! {
            biased;
            _ = bench.bearer(&token) => panic!("there is no answer"),
            () = tokio::task::yield_now() => {}
        }
    }
    let asked = bench.asked("/ask");
    assert_eq!(asked, 2 + 64);
    bench.clock.pass(Duration::from_secs(60));
    assert_eq!(bench.bearer("another").await.unwrap_err().kind, RejectionKind::Unavailable);
    assert_eq!(bench.asked("/ask"), asked, "there is no place to ask about it");
    assert!(bench.bearer(&signed).await.is_ok(), "a verified token is due");
    assert!(bench.bearer("opaque").await.is_ok(), "one that was good is due");
    assert_eq!(bench.asked("/ask"), asked + 2);
}

#[tokio::test]
async fn bad_tokens_are_asked_about_at_a_bounded_pace() {
    let (bench, signed) = both().await;
    bench.clock.pass(Duration::from_secs(60));
    bench.page(ASK, 200, r#"{"active":false}"#);
    let mut kinds = Vec::new();
    for number in 0..1000 {
        kinds.push(bench.bearer(&format!("garbage{number}")).await.unwrap_err().kind);
    }
    assert_eq!(bench.asked("/ask"), 2 + 64);
    let (first, rest) = kinds.split_at(64);
    assert!(first.iter().all(|kind| *kind == RejectionKind::Invalid), "{first:?}");
    assert!(rest.iter().all(|kind| *kind == RejectionKind::Unavailable), "nobody was asked about these");
    bench.page(ASK, 200, &answer(&bench).to_string());
    assert!(bench.bearer(&signed).await.is_ok() && bench.bearer("opaque").await.is_ok(), "who is known");
    assert_eq!(bench.bearer("new").await.unwrap_err().kind, RejectionKind::Unavailable);
    // A little later some may be asked about again, and those that are good do not count.
    bench.clock.pass(Duration::from_millis(100));
    for number in 0..100 {
        assert!(bench.bearer(&format!("good{number}")).await.is_ok(), "{number}");
    }
    // What was good and is taken back is a stranger's like any other.
    bench.clock.pass(Duration::from_secs(60));
    bench.page(ASK, 200, r#"{"active":false}"#);
    for _ in 0..2 {
        assert_eq!(bench.bearer("opaque").await.unwrap_err().kind, RejectionKind::Invalid);
        bench.clock.pass(Duration::from_secs(5));
    }
}

#[tokio::test]
async fn tokens_for_others_are_strangers_and_cost_as_much() {
    let (bench, _) = both().await;
    bench.page(ASK, 200, &with(answer(&bench), "aud", json!("https://other.example.com")).to_string());
    let mut kinds = Vec::new();
    for _ in 0..2 {
        for number in 0..65 {
            kinds.push(bench.bearer(&format!("other{number}")).await.unwrap_err().kind);
        }
    }
    assert_eq!(bench.asked("/ask"), 2 + 64);
    assert_eq!(kinds.iter().filter(|kind| **kind == RejectionKind::Unavailable).count(), 2, "{kinds:?}");
    // One that was this endpoint's is a stranger's as well once it is another's.
    bench.clock.pass(Duration::from_secs(60));
    assert_eq!(bench.bearer("opaque").await.unwrap_err().kind, RejectionKind::Invalid);
    assert!(!bench.authenticator.was_good(&evidence("Bearer opaque")));
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_asked_once_a_second() {
    let (bench, _) = both().await;
    let mut guests = Vec::new();
    for number in 0..100 {
        guests.push(bench.bearer(&format!("good{number}")).await.unwrap());
    }
    let review_all = async || {
        let mut known = 0;
        for guest in &guests {
            known += usize::from(bench.review(guest).await.is_ok());
        }
        known
    };
    bench.clock.pass(Duration::from_secs(60));
    bench.page(ASK, 503, "");
    let asked = bench.asked("/ask");
    assert_eq!((review_all().await, bench.asked("/ask")), (0, asked + 4));
    for second in 1..4 {
        bench.clock.pass(Duration::from_secs(1));
        assert_eq!((review_all().await, bench.asked("/ask")), (0, asked + 4 + second));
    }
    // As soon as one is answered all are asked about.
    bench.clock.pass(Duration::from_secs(1));
    bench.page(ASK, 200, &answer(&bench).to_string());
    assert_eq!(review_all().await, 100);
    // Strangers cannot keep anybody from asking with words that no issuer answers.
    bench.clock.pass(Duration::from_secs(30));
    bench.page(ASK, 500, "");
    for number in 0..10 {
        assert_eq!(bench.bearer(&format!("{number}")).await.unwrap_err().kind, RejectionKind::Unavailable);
    }
    bench.page(ASK, 200, &answer(&bench).to_string());
    assert_eq!(review_all().await, 100);
}

fn evidence(authorization: &str) -> Evidence<'_> {
    Evidence { authorization: Some(authorization.as_bytes()), ..Evidence::default() }
}

#[tokio::test]
async fn whoever_was_good_is_remembered_when_it_is_to_be_found_out_again() {
    let (bench, signed) = both().await;
    let signed = format!("Bearer {signed}");
    bench.clock.pass(Duration::from_secs(60));
    for known in ["Bearer opaque", signed.as_str()] {
        let known = evidence(known);
        assert_eq!(bench.authenticator.recall(&known), None, "it is due");
        assert!(bench.authenticator.was_good(&known));
    }
    assert!(!bench.authenticator.was_good(&evidence("Bearer other")));
}
