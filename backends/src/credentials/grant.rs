//! What an authorization server is asked for a token with.
//!
//! S: RFC 6749 section 4.4; RFC 8693 section 2.1; RFC 7523 section 2.1; RFC 8707; the MCP extension
//! `enterprise-managed-authorization`.

use super::CredentialError;
use super::server::Server;
use super::slot::Source;
use super::token::{Expected, Fresh, ID_JAG};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use weir_config::{SubjectToken, TokenTarget};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ASSERTION: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What is sent to a token endpoint.
pub(crate) type Form = Vec<(&'static str, String)>;

/// weir's own tokens.
#[derive(Debug)]
pub(crate) struct ForWeir {
    pub(crate) server: Arc<Server>,
    pub(crate) target: TokenTarget,
}

#[async_trait]
impl Source for ForWeir {
    async fn obtain(&self) -> Result<Fresh, CredentialError> {
        let mut form = vec![("grant_type", "client_credentials".to_owned())];
        aim(&mut form, &self.target);
        self.server.ask(form, Expected::Bearer).await
    }
}

/// How a caller's token becomes one for the backend.
#[derive(Debug)]
pub(crate) enum Grant {
    /// In exchange for it.
    Exchange { server: Arc<Server>, target: TokenTarget, subject: SubjectToken },
    /// By way of an assertion that the enterprise's provider makes of it.
    Assertion { provider: Arc<Server>, server: Arc<Server>, target: TokenTarget, subject: SubjectToken },
}

/// The tokens of one caller.
pub(crate) struct ForCaller {
    pub(crate) grant: Arc<Grant>,
    /// The caller's own.
    pub(crate) token: SecretString,
}

impl fmt::Debug for ForCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForCaller").field("grant", &self.grant).finish_non_exhaustive()
    }
}

#[async_trait]
impl Source for ForCaller {
    async fn obtain(&self) -> Result<Fresh, CredentialError> {
        match &*self.grant {
            Grant::Exchange { server, target, subject } => {
                let mut form = self.exchange(*subject);
                form.push(("requested_token_type", ACCESS_TOKEN.to_owned()));
                aim(&mut form, target);
                server.ask(form, Expected::Bearer).await
            }
            Grant::Assertion { provider, server, target, subject } => {
                let mut form = self.exchange(*subject);
                form.push(("requested_token_type", ID_JAG.to_owned()));
                // It is made out to the other authorization server, which takes it for the backend.
                let audience = server.issuer().unwrap_or_default().to_owned();
                aim(&mut form, &TokenTarget { audience: Some(audience), ..target.clone() });
                let assertion = provider.ask(form, Expected::Assertion).await?;
                let mut form = vec![
                    ("grant_type", ASSERTION.to_owned()),
                    ("assertion", assertion.token.expose_secret().to_owned()),
                ];
                if !target.scopes.is_empty() {
                    form.push(("scope", target.scopes.join(" ")));
                }
                server.ask(form, Expected::Bearer).await
            }
        }
    }
}

impl ForCaller {
    fn exchange(&self, subject: SubjectToken) -> Form {
        vec![
            ("grant_type", EXCHANGE.to_owned()),
            ("subject_token", self.token.expose_secret().to_owned()),
            ("subject_token_type", subject.identifier().to_owned()),
        ]
    }
}

/// Says what a token is for.
fn aim(form: &mut Form, target: &TokenTarget) {
    if !target.scopes.is_empty() {
        form.push(("scope", target.scopes.join(" ")));
    }
    form.extend(target.resource.clone().map(|resource| ("resource", resource)));
    form.extend(target.audience.clone().map(|audience| ("audience", audience)));
}
