//! Tokens, and what a token endpoint answers.
//!
//! S: RFC 6749 sections 5.1 and 5.2; RFC 8693 section 2.2.

use super::{CredentialError, bearer};
use crate::Cause;
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// Longest token, in bytes.
const LONGEST: usize = 16 << 10;
/// How long a token is used of which nobody says how long it is good.
const UNSAID: Duration = Duration::from_secs(300);
/// No token is used longer, whatever is said.
const MAX_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is not used for so long before its end, since it has a way to go and clocks differ.
const MARGIN: Duration = Duration::from_secs(10);
/// So much of an authorization server's words goes to the log, in characters.
const WORDS: usize = 300;
/// Longest word of a server's that the log repeats, in bytes.
const LONGEST_WORD: usize = 20;

/// A token that a backend is shown.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// `Authorization`; it is marked as sensitive.
    pub(crate) header: HeaderValue,
    /// Which one of its slot it is.
    pub(crate) number: u64,
    /// From then on a new one is fetched beside the calls.
    pub(crate) renewal: Instant,
    /// From then on it is used no more.
    pub(crate) end: Instant,
}

/// A token as an authorization server gives it.
pub(crate) struct Fresh {
    pub(crate) token: SecretString,
    pub(crate) life: Duration,
}

impl fmt::Debug for Fresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh").field("life", &self.life).finish_non_exhaustive()
    }
}

impl Token {
    /// The token `number` of its slot, which was asked for at `asked`.
    pub(crate) fn new(fresh: &Fresh, number: u64, asked: Instant) -> Result<Self, CredentialError> {
        let header = bearer(fresh.token.expose_secret())
            .map_err(|_| CredentialError::unavailable(BROKEN, "its token cannot be sent in a header"))?;
        let life = fresh.life.min(MAX_LIFE);
        let margin = MARGIN.min(life / 10);
        Ok(Self { header, number, renewal: asked + life / 5 * 4, end: asked + (life - margin) })
    }
}

/// What callers read of an answer that is none.
pub(crate) const BROKEN: &str = "gave no token that can be used";

/// What a token is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A bearer token.
    Bearer,
    /// An assertion that another authorization server takes (ID-JAG), which is no token to be shown.
    Assertion,
}

/// An identity assertion's type (SEP-990).
pub(crate) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// What is read of a good answer.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<serde_json::Number>,
    issued_token_type: Option<String>,
}

/// What is read of a refusal.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    error: String,
    error_description: String,
}

/// Reads what a token endpoint answered.
pub(crate) fn read(status: StatusCode, body: &[u8], expected: Expected) -> Result<Fresh, CredentialError> {
    if status != StatusCode::OK {
        return Err(refusal(status, body));
    }
    let broken = |text: &str| CredentialError::unavailable(BROKEN, text);
    // The words of a parser may repeat what it reads.
    let answer: Answer = serde_json::from_slice(body).map_err(|_| broken("its answer is not a token's"))?;
    let token = SecretString::from(answer.access_token);
    let (kind, right) = match expected {
        Expected::Bearer => ("Bearer", answer.token_type.eq_ignore_ascii_case("bearer")),
        // RFC 8693 section 2.2.1: what is no access token has no such type.
        Expected::Assertion => ("N_A", answer.token_type.eq_ignore_ascii_case("n_a")),
    };
    if !right {
        return Err(broken(&format!("its token is not of the type `{kind}`")));
    }
    if expected == Expected::Assertion && answer.issued_token_type.as_deref() != Some(ID_JAG) {
        return Err(broken("it gave no identity assertion (ID-JAG)"));
    }
    let text = token.expose_secret();
    if text.is_empty() || text.len() > LONGEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(broken("its token is empty, too long or holds characters that no token has"));
    }
    let life = match answer.expires_in {
        None => UNSAID,
        Some(number) => {
            let seconds = number.as_u64().or_else(|| whole(number.as_f64()?));
            let seconds = seconds.filter(|seconds| *seconds > 0);
            Duration::from_secs(seconds.ok_or_else(|| broken("its token is over already"))?)
        }
    };
    Ok(Fresh { token, life })
}

/// Whole seconds of a number that some servers write with a point.
fn whole(number: f64) -> Option<u64> {
    (number.is_finite() && number >= 1.0)
        .then(|| Duration::try_from_secs_f64(number).map_or(u64::MAX, |time| time.as_secs()))
}

/// What a refusal means. Only what RFC 6749 and its like define is repeated to callers.
fn refusal(status: StatusCode, body: &[u8]) -> CredentialError {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let detail = format!(
        "status {}: {} {}",
        status.as_u16(),
        words(&refusal.error, usize::MAX),
        words(&refusal.error_description, LONGEST_WORD)
    );
    let text = match refusal.error.as_str() {
        _ if status.is_redirection() => {
            return CredentialError::unavailable("answered with a redirect, which is not followed", detail);
        }
        _ if status.is_server_error() || matches!(status.as_u16(), 408 | 429) => {
            return CredentialError::unavailable("has a problem of its own", detail);
        }
        "invalid_client" | "unauthorized_client" => "weir as a client: it does not know it, or not for this",
        "invalid_grant" => "a credential for this caller: it does not accept the caller's token",
        "invalid_scope" => "the configured scopes",
        "invalid_target" => "the configured resource or audience",
        "unsupported_grant_type" => "this way to a credential: it does not offer it",
        "access_denied" => "a credential for this caller",
        _ => "a credential",
    };
    CredentialError::Refused(Cause::private(text, detail))
}

/// What a server says of its refusal, for the log. Some repeat what they were sent, be it the caller's token or weir's own
/// secret: no word of a language is as long.
fn words(text: &str, longest: usize) -> String {
    let shown = text.chars().take(WORDS).collect::<String>();
    let words = shown.split_whitespace().map(|word| if word.len() > longest { "…" } else { word });
    words.collect::<Vec<_>>().join(" ").escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Result<Fresh, CredentialError> {
        read(StatusCode::OK, body.as_bytes(), Expected::Bearer)
    }

    #[test]
    fn good_answers_are_read() {
        for (body, life) in [
            (r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#, 60),
            (r#"{"access_token":"t","token_type":"bearer","expires_in":60.5,"scope":"a","x":1}"#, 60),
            (r#"{"access_token":"t","token_type":"BEARER"}"#, UNSAID.as_secs()),
        ] {
            let fresh = answer(body).unwrap();
            assert_eq!((fresh.token.expose_secret(), fresh.life.as_secs()), ("t", life), "{body}");
        }
        let far = answer(r#"{"access_token":"t","token_type":"Bearer","expires_in":1e300}"#).unwrap();
        let now = Instant::now();
        let token = Token::new(&far, 1, now).unwrap();
        assert_eq!(token.end, now + MAX_LIFE - MARGIN);
        assert!(token.renewal < token.end && token.header.is_sensitive());
        let brief = Fresh { token: "t".into(), life: Duration::from_secs(1) };
        let token = Token::new(&brief, 1, now).unwrap();
        assert!(token.renewal < token.end && token.end < now + Duration::from_secs(1));
    }

    #[test]
    fn bad_answers_are_refused_without_their_words() {
        let long = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "s3cret".repeat(LONGEST));
        for body in [
            "s3cret",
            "[]",
            r#""s3cret""#,
            r#"{"access_token":"s3cret"}"#,
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret","token_type":"DPoP"}"#,
            r#"{"access_token":"s3cret","token_type":"N_A"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret\r\nx: y","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret b","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret\u00e9","token_type":"Bearer"}"#,
            r#"{"access_token":["s3cret"],"token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret","access_token":"s3cret2","token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":0}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":-5}"#,
            r#"{"access_token":"s3cret","token_type":"Bearer","expires_in":"s3cret"}"#,
            &long,
        ] {
            let error = answer(body).unwrap_err();
            assert!(matches!(error, CredentialError::Unavailable(_)), "{body}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{body}: {error:?}");
        }
        let shown = format!("{:?}", answer(r#"{"access_token":"s3cret","token_type":"Bearer"}"#).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn an_assertion_is_told_from_a_token() {
        let read = |body: &str| read(StatusCode::OK, body.as_bytes(), Expected::Assertion);
        assert!(
            read(&format!(r#"{{"access_token":"t","token_type":"N_A","issued_token_type":"{ID_JAG}"}}"#))
                .is_ok()
        );
        for body in [
            r#"{"access_token":"t","token_type":"N_A"}"#.to_owned(),
            format!(r#"{{"access_token":"t","token_type":"Bearer","issued_token_type":"{ID_JAG}"}}"#),
            r#"{"access_token":"t","token_type":"N_A","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#.to_owned(),
        ] {
            assert!(read(&body).is_err(), "{body}");
        }
    }

    #[test]
    fn refusals_say_what_to_do_and_no_more() {
        let refused =
            |status: u16, body: &str| refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        let error = refused(
            400,
            r#"{"error":"invalid_grant","error_description":"user ada\n\u001b[31m at 10.0.0.1"}"#,
        );
        assert!(matches!(error, CredentialError::Refused(_)) && error.to_string().contains("caller's token"));
        assert!(!error.to_string().contains("ada"));
        let detail = error.detail().unwrap();
        assert!(detail.contains("10.0.0.1") && !detail.contains(['\n', '\u{1b}']), "{detail}");
        assert!(refused(401, r#"{"error":"invalid_client"}"#).to_string().contains("weir as a client"));
        assert!(refused(400, "nonsense").to_string().ends_with("refused a credential"));
        for status in [302, 307, 429, 500, 503] {
            assert!(matches!(refused(status, "{}"), CredentialError::Unavailable(_)), "{status}");
        }
        let echo =
            format!(r#"{{"error":"invalid_grant","error_description":"no good: {}"}}"#, "eyJ0".repeat(50));
        assert!(refused(400, &echo).detail().unwrap().ends_with("no good: …"));
        let long = format!(r#"{{"error":"{}"}}"#, "e".repeat(100_000));
        assert!(refused(400, &long).detail().unwrap().len() < 2 * WORDS);
    }
}
