//! What an issuer publishes of itself, and asking it for things.

use super::strict;
use crate::{Clock, Fetch, Reach};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, StatusCode};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use url::Url;
use weir_config::{Issuer, KeySource};

/// Longest time for one request to an issuer.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long metadata is used without looking again.
const FRESH: Duration = Duration::from_secs(3600);
/// Longest service-account token, in bytes.
const LONGEST_TOKEN: usize = 16 << 10;

/// An issuer as weir reaches it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) config: Issuer,
    pub(crate) clock: Arc<dyn Clock>,
    fetch: Arc<dyn Fetch>,
    metadata: Mutex<Option<(Duration, Arc<Metadata>)>>,
}

/// What weir wants to know of an issuer's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Where its keys are.
    pub(crate) keys: Option<String>,
    /// Where it can be asked about tokens.
    pub(crate) introspection: Option<String>,
}

impl Provider {
    pub(crate) fn new(config: Issuer, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self { config, clock, fetch, metadata: Mutex::default() }
    }

    /// The issuer's metadata, at most an hour old: OpenID Connect Discovery, then RFC 8414.
    pub(crate) async fn metadata(&self) -> Result<Arc<Metadata>, String> {
        let now = self.clock.steady();
        if let Some((at, metadata)) = &*self.metadata.lock()
            && now.saturating_sub(*at) < FRESH
        {
            return Ok(metadata.clone());
        }
        let metadata = Arc::new(self.discover().await?);
        *self.metadata.lock() = Some((now, metadata.clone()));
        Ok(metadata)
    }

    /// Forgets the metadata: something that it names is not there.
    pub(crate) fn doubt(&self) {
        *self.metadata.lock() = None;
    }

    async fn discover(&self) -> Result<Metadata, String> {
        let mut problem = "the issuer's name is not a URL".to_owned();
        for url in well_known(&self.config.issuer) {
            let answer = self.ask(Request::new(Bytes::new()), &url).await?;
            if answer.status() == StatusCode::OK {
                return self.read(answer.body());
            }
            problem = format!("its metadata: status {}", answer.status().as_u16());
        }
        Err(problem)
    }

    fn read(&self, json: &[u8]) -> Result<Metadata, String> {
        let document = strict::object(json).ok_or("its metadata is not an object with each name once")?;
        // RFC 8414 section 3.3: to the letter, or the document is another's.
        if document.get("issuer").and_then(Value::as_str) != Some(&self.config.issuer) {
            return Err("its metadata names another issuer".to_owned());
        }
        Ok(Metadata {
            keys: self.address(&document, "jwks_uri")?,
            introspection: self.address(&document, "introspection_endpoint")?,
        })
    }

    /// An address that the metadata names.
    fn address(&self, document: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
        let Some(value) = document.get(name) else {
            return Ok(None);
        };
        let url = value.as_str().and_then(|text| Url::parse(text).ok());
        let allowed = |url: &Url| url.scheme() == "https" || (self.config.private && url.scheme() == "http");
        match url.filter(allowed) {
            Some(url) if url.username().is_empty() && url.password().is_none() => Ok(Some(url.into())),
            _ => Err(format!("its metadata has no usable `{name}`")),
        }
    }

    /// The text at an address, with the credential that the issuer wants to see.
    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, String> {
        let mut request = Request::new(Bytes::new());
        if let KeySource::Kubernetes { token, .. } = &self.config.keys {
            // Read each time, since it is replaced before it ends.
            let token =
                std::fs::read_to_string(token).map_err(|error| format!("weir's own token: {error}"))?;
            let value = Some(token.trim()).filter(|token| !token.is_empty() && token.len() <= LONGEST_TOKEN);
            let value = value.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
            let mut value = value.ok_or("weir's own token is not one")?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = self.ask(request, url).await?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(format!("status {}", status.as_u16())),
        }
    }

    /// One request, with its address filled in.
    pub(crate) async fn ask(
        &self,
        mut request: Request<Bytes>,
        url: &str,
    ) -> Result<http::Response<Bytes>, String> {
        *request.uri_mut() = url.parse().map_err(|_| "its address is not one".to_owned())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        let reach = Reach { private: self.config.private, ca: self.config.ca.clone(), deadline: DEADLINE };
        self.fetch.fetch(request, &reach).await.map_err(|error| error.to_string())
    }
}

/// Where an issuer's metadata may be: OpenID Connect Discovery 1.0 section 4, and RFC 8414 section 3.1.
fn well_known(issuer: &str) -> Vec<String> {
    let Ok(url) = Url::parse(issuer) else {
        return Vec::new();
    };
    let path = url.path().trim_end_matches('/').to_owned();
    let at = |path: String| {
        let mut url = url.clone();
        url.set_path(&path);
        url.into()
    };
    vec![
        at(format!("{path}/.well-known/openid-configuration")),
        at(format!("/.well-known/oauth-authorization-server{path}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_in_two_places() {
        assert_eq!(
            well_known("https://a/b/"),
            [
                "https://a/b/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server/b"
            ]
        );
        assert_eq!(
            well_known("https://a"),
            [
                "https://a/.well-known/openid-configuration",
                "https://a/.well-known/oauth-authorization-server"
            ]
        );
    }
}
