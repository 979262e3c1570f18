//! A browser, known by a cookie that only weir can write.

use super::base::Base;
use crate::client::Http;
use crate::seal::{Purpose, Seal};
use http::HeaderValue;
use http::header::COOKIE;
use serde::{Deserialize, Serialize};
use std::io;

/// How long a browser is known, in seconds.
pub(super) const KNOWN: u64 = 3600;
/// The longest cookie header that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// A browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Browser {
    /// Random: tells it apart from every other.
    pub(super) id: [u8; 16],
    /// When it is known no more, by the clock of the seal.
    until: u64,
}

impl Browser {
    /// The browser that sends this request; a new one where it brings no good cookie.
    pub(super) fn of(http: &Http<'_>, base: &Base, seal: &Seal) -> io::Result<Self> {
        match Self::known(http, base, seal) {
            Some(browser) => Ok(browser),
            None => Self::fresh(seal),
        }
    }

    /// One that nobody knows yet. After a login a browser is a new one, so that nobody who knew the one before shares it.
    pub(super) fn fresh(seal: &Seal) -> io::Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        Ok(Self { id, until: seal.now() + KNOWN * 1000 })
    }

    /// The browser that sends this request, where it is known.
    pub(super) fn known(http: &Http<'_>, base: &Base, seal: &Seal) -> Option<Self> {
        let prefix = format!("{}=", name(base));
        let mut found = http
            .headers()
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok().filter(|text| text.len() <= LONGEST))
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(&*prefix));
        // One that stands twice was put there by somebody else.
        let text = found.next().filter(|_| found.next().is_none())?;
        let plain = seal.open(Purpose::Browser, text.as_bytes(), base.origin().as_bytes())?;
        let browser: Self = serde_json::from_slice(&plain).ok()?;
        (browser.until > seal.now()).then_some(browser)
    }

    /// The cookie by which it is known again. No script reads it, no page of another site sends it along but by a link.
    pub(super) fn cookie(&self, base: &Base, seal: &Seal) -> io::Result<HeaderValue> {
        let plain = serde_json::to_vec(self)?;
        let text = seal.seal(Purpose::Browser, &plain, base.origin().as_bytes())?;
        let secure = if base.is_secure() { "; Secure" } else { "" };
        let name = name(base);
        let cookie = format!("{name}={text}; Path=/; HttpOnly; SameSite=Lax; Max-Age={KNOWN}{secure}");
        HeaderValue::try_from(cookie).map_err(io::Error::other)
    }
}

/// A name with `__Host-` is refused by browsers where anything but this very host by TLS sets it.
fn name(base: &Base) -> &'static str {
    if base.is_secure() { "__Host-weir-connect" } else { "weir-connect" }
}
