//! Users who connect a backend whose authorization server does not answer.

use super::*;

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_one_backend_are_few_and_do_not_wait_for_long() {
    let network = network(json!({}));
    let connector = connector(&network, weir_config::Oauth::default());
    let outline = connector.outline(&ada()).await.unwrap();
    let closed = network.gate.write().await;
    let began = tokio::time::Instant::now();
    let visits = futures_util::future::join_all((0..50).map(|_| async {
        let refused = connector.outline(&ada()).await.unwrap_err();
        assert!(matches!(refused, OauthError::Unavailable(_)), "{refused}");
        began.elapsed()
    }));
    let waited = visits.await;
    assert_eq!(waited.iter().filter(|waited| !waited.is_zero()).count(), crate::oauth::visits::MOST);
    assert!(waited.iter().all(|waited| *waited <= Duration::from_secs(21)), "{waited:?}");
    // Who left took nothing along.
    drop(closed);
    connector.plan(outline, &way()).await.unwrap();
    connector.outline(&ada()).await.unwrap();
}
