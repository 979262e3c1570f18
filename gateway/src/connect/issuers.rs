//! What the issuers where users log in say of themselves: asked once for all browsers, since anybody can send one there.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync;
use tokio::time::Instant;
use weir_backends::{Authority, Login, OauthError};

/// How long what an issuer says is good.
const GOOD: Duration = Duration::from_secs(300);
/// How long an issuer that could not be asked is not asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// What issuers say, by what is asked and how. There are no more of them than the configurations of this run name.
#[derive(Debug, Default)]
pub(super) struct Issuers(Mutex<HashMap<Key, Arc<sync::Mutex<Option<Said>>>>>);

type Key = (String, bool, Option<PathBuf>);

/// What an issuer said, and until when that holds.
#[derive(Debug)]
struct Said {
    until: Instant,
    what: Result<Authority, OauthError>,
}

impl Issuers {
    /// What the issuer of this login says of itself. Of those who want to know at once one asks, and the others wait.
    ///
    /// # Errors
    /// It cannot be found out, or could not a moment ago.
    pub(super) async fn authority(&self, login: &Login<'_>) -> Result<Authority, OauthError> {
        let key = (login.spec.issuer.clone(), login.reach.private, login.reach.ca.clone());
        let own = self.0.lock().entry(key).or_default().clone();
        let mut said = own.lock().await;
        if let Some(said) = said.as_ref().filter(|said| said.until > Instant::now()) {
            return said.what.clone();
        }
        let what = login.authority().await;
        let holds = if what.is_ok() { GOOD } else { PAUSE };
        *said = Some(Said { until: Instant::now() + holds, what: what.clone() });
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use weir_policies::{Fetch, FetchError, Reach};

    /// An issuer that counts who asks it, and answers after that as it is told.
    #[derive(Debug, Default)]
    struct Issuer {
        asked: AtomicUsize,
        answers: bool,
    }

    #[async_trait::async_trait]
    impl Fetch for Issuer {
        async fn fetch(
            &self,
            _request: http::Request<Bytes>,
            _reach: &Reach,
        ) -> Result<http::Response<Bytes>, FetchError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if !self.answers {
                return Err(FetchError::Late);
            }
            let document = r#"{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a",
                "token_endpoint":"https://idp.example/t","code_challenge_methods_supported":["S256"]}"#;
            Ok(http::Response::new(Bytes::from(document)))
        }
    }

    #[tokio::test]
    async fn however_many_browsers_come_the_issuer_is_asked_once() {
        let spec = weir_config::Login {
            issuer: "https://idp.example".to_owned(),
            client_id: "weir".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
        };
        let reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };
        for answers in [true, false] {
            let (issuer, issuers) = (Issuer { answers, ..Issuer::default() }, Issuers::default());
            let login = Login { spec: &spec, fetch: &issuer, reach: &reach };
            let come = || futures_util::future::join_all((0..100).map(|_| issuers.authority(&login)));
            let all = come().await;
            assert!(all.iter().all(|one| one.is_ok() == answers), "{all:?}");
            let once = issuer.asked.load(Ordering::Relaxed);
            assert!((1..=4).contains(&once), "the places of one document: {once}");
            come().await;
            assert_eq!(issuer.asked.load(Ordering::Relaxed), once, "it is known");
            for own in issuers.0.lock().values() {
                own.try_lock().unwrap().as_mut().unwrap().until = Instant::now();
            }
            come().await;
            assert_eq!(issuer.asked.load(Ordering::Relaxed), 2 * once, "it is asked again in time");
        }
    }
}
