//! What the issuers where users log in say of themselves: asked once for all browsers, since anybody can send one there.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync;
use tokio::time::{Instant, timeout};
use weir_backends::{Authority, Login, OauthError};

/// How long what an issuer says is good.
const GOOD: Duration = Duration::from_secs(300);
/// An issuer that has not answered by then does not.
const DEADLINE: Duration = Duration::from_secs(10);
/// The most browsers that wait for one issuer: each has a place that those of other endpoints need.
const WAITING: usize = 16;
/// How long an issuer that could not be asked is not asked again.
const PAUSE: Duration = Duration::from_secs(5);

/// What issuers say, by what is asked and how. There are no more of them than the configurations of this run name.
#[derive(Debug, Default)]
pub(super) struct Issuers(Mutex<HashMap<Key, Arc<Own>>>);

type Key = (String, bool, Option<PathBuf>);

/// One issuer.
#[derive(Debug)]
struct Own {
    said: Mutex<Option<Said>>,
    /// Held by whoever asks it.
    asks: sync::Mutex<()>,
    waiting: sync::Semaphore,
    /// Places for those who come back from it.
    back: Arc<sync::Semaphore>,
}

impl Default for Own {
    fn default() -> Self {
        let (waiting, back) = (sync::Semaphore::new(WAITING), Arc::new(sync::Semaphore::new(WAITING)));
        Self { said: Mutex::default(), asks: sync::Mutex::default(), waiting, back }
    }
}

impl Own {
    /// What is known.
    fn known(&self) -> Option<Result<Authority, OauthError>> {
        let said = self.said.lock();
        said.as_ref().filter(|said| said.until > Instant::now()).map(|said| said.what.clone())
    }
}

/// What an issuer said, and until when that holds.
#[derive(Debug)]
struct Said {
    until: Instant,
    what: Result<Authority, OauthError>,
}

fn unavailable(why: &str) -> OauthError {
    OauthError::Unavailable(why.to_owned())
}

impl Issuers {
    fn own(&self, login: &Login<'_>) -> Arc<Own> {
        let key = (login.spec.issuer.clone(), login.reach.private, login.reach.ca.clone());
        self.0.lock().entry(key).or_default().clone()
    }

    /// A place for a browser that comes back from the issuer of this login, which is asked then who that is: anybody can come,
    /// with a code that is none.
    ///
    /// # Errors
    /// All are taken.
    pub(super) fn place(&self, login: &Login<'_>) -> Result<sync::OwnedSemaphorePermit, OauthError> {
        let back = self.own(login).back.clone();
        back.try_acquire_owned().map_err(|_| unavailable("too many come back from it"))
    }

    /// What the issuer of this login says of itself. Of those who want to know at once one asks, and the others wait.
    ///
    /// # Errors
    /// It cannot be found out, or could not a moment ago, or many wait for it already.
    pub(super) async fn authority(&self, login: &Login<'_>) -> Result<Authority, OauthError> {
        let own = self.own(login);
        if let Some(known) = own.known() {
            return known;
        }
        let _waits = own.waiting.try_acquire().map_err(|_| unavailable("too many wait for it"))?;
        let _asks = own.asks.lock().await;
        if let Some(known) = own.known() {
            return known;
        }
        let asked = timeout(DEADLINE, login.authority()).await;
        let what = asked.unwrap_or_else(|_| Err(unavailable("it did not answer in time")));
        let holds = if what.is_ok() { GOOD } else { PAUSE };
        *own.said.lock() = Some(Said { until: Instant::now() + holds, what: what.clone() });
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

    fn spec() -> weir_config::Login {
        weir_config::Login {
            issuer: "https://idp.example".to_owned(),
            client_id: "weir".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
        }
    }

    #[test]
    fn so_many_come_back_from_an_issuer_at_once() {
        let spec = spec();
        let reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };
        let login = Login { spec: &spec, fetch: &Silent, reach: &reach };
        let issuers = Issuers::default();
        let places: Vec<_> = std::iter::from_fn(|| issuers.place(&login).ok()).take(2 * WAITING).collect();
        assert_eq!(places.len(), WAITING);
        drop(places);
        assert!(issuers.place(&login).is_ok());
    }

    #[tokio::test]
    async fn however_many_browsers_come_the_issuer_is_asked_once() {
        let spec = spec();
        let reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };
        for answers in [true, false] {
            let (issuer, issuers) = (Issuer { answers, ..Issuer::default() }, Issuers::default());
            let login = Login { spec: &spec, fetch: &issuer, reach: &reach };
            let come = || futures_util::future::join_all((0..WAITING).map(|_| issuers.authority(&login)));
            let all = come().await;
            assert!(all.iter().all(|one| one.is_ok() == answers), "{all:?}");
            let once = issuer.asked.load(Ordering::Relaxed);
            assert!((1..=4).contains(&once), "the places of one document: {once}");
            come().await;
            assert_eq!(issuer.asked.load(Ordering::Relaxed), once, "it is known");
            for own in issuers.0.lock().values() {
                own.said.lock().as_mut().unwrap().until = Instant::now();
            }
            come().await;
            assert_eq!(issuer.asked.load(Ordering::Relaxed), 2 * once, "it is asked again in time");
        }
    }

    /// An issuer that takes a request and says nothing.
    #[derive(Debug)]
    struct Silent;

    #[async_trait::async_trait]
    impl Fetch for Silent {
        async fn fetch(
            &self,
            _request: http::Request<Bytes>,
            _reach: &Reach,
        ) -> Result<http::Response<Bytes>, FetchError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_says_nothing_holds_few_and_not_for_long() {
        let spec = spec();
        let reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };
        let login = Login { spec: &spec, fetch: &Silent, reach: &reach };
        let (issuers, began) = (Issuers::default(), Instant::now());
        let all = futures_util::future::join_all((0..100).map(|_| async {
            issuers.authority(&login).await.unwrap_err();
            began.elapsed()
        }));
        let waited = all.await;
        assert_eq!(waited.iter().filter(|waited| !waited.is_zero()).count(), WAITING);
        assert!(waited.iter().all(|waited| *waited <= DEADLINE + Duration::from_millis(10)), "{waited:?}");
    }
}
