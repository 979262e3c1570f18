//! What weir gives its clients to keep, and takes back only unchanged: sealed text, which nobody else can read or write.
//!
//! S: MCP 2026-07-28 `basic/patterns/mrtr` "Request state": its integrity is the server's affair, and so is binding it to
//! the caller and to the request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use std::fmt;
use std::io;
use std::time::Instant;
use weir_policies::Principal;

/// The longest text that is opened. What a backend wrote goes into it, so that it is as generous as a message.
const LONGEST: usize = 1 << 20;

/// What sealed text is for. Text of one purpose does not open as another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A call that waits for input of its client.
    Input,
    /// The id of a task.
    Task,
    /// A link to the page on which a backend is connected.
    Link,
    /// A browser, in its cookie.
    Browser,
    /// What a user is asked before being sent to an authorization server.
    Consent,
    /// What a browser brings back from an authorization server.
    State,
    /// What it brings back from a login.
    Login,
    /// A form that ends what a user granted.
    Disconnect,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Input => b"input",
            Self::Task => b"task",
            Self::Link => b"link",
            Self::Browser => b"browser",
            Self::Consent => b"consent",
            Self::State => b"state",
            Self::Login => b"login",
            Self::Disconnect => b"disconnect",
        }
    }
}

/// Seals text under a key that is made when the gateway starts and never leaves its memory.
pub(crate) struct Seal {
    key: LessSafeKey,
    /// Makes the nonces of what is always sealed alike.
    nonces: hmac::Key,
    made: Instant,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

/// Authenticated, not secret: the purpose and what the caller of [`Seal::seal`] says besides.
fn bound(purpose: Purpose, aad: &[u8]) -> Aad<Vec<u8>> {
    // No purpose has a zero byte in its name, so that nothing can be read in two ways.
    Aad::from([purpose.name(), b"\0", aad].concat())
}

impl Seal {
    /// A seal of its own: what another one sealed, it does not open.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let (key, nonces) = bytes.split_at(32);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(refused)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            nonces: hmac::Key::new(hmac::HMAC_SHA256, nonces),
            made: Instant::now(),
        })
    }

    /// Milliseconds since it was made, for what is sealed to say when it ends.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// `plaintext` as text of the URL-safe base64 alphabet. It opens only with the same purpose and the same `aad`, which
    /// itself is not in it.
    ///
    /// # Errors
    /// The system gives no random bytes, or the plaintext is longer than what is opened.
    pub(crate) fn seal(&self, purpose: Purpose, plaintext: &[u8], aad: &[u8]) -> io::Result<String> {
        // 96 random bits: even after 2^32 texts of one gateway the odds of a repeated nonce are one in 2^33.
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        self.seal_with(nonce, purpose, plaintext, aad)
    }

    /// As [`Seal::seal`], but the same each time: for names, of which there is one for one thing. Whoever has two of them
    /// learns whether they are for the same.
    ///
    /// # Errors
    /// The plaintext is longer than what is opened.
    pub(crate) fn seal_alike(&self, purpose: Purpose, plaintext: &[u8], aad: &[u8]) -> io::Result<String> {
        // A nonce made of all that is sealed comes again with the same plaintext only, where it gives nothing away.
        let mut whole = hmac::Context::with_key(&self.nonces);
        let length = (aad.len() as u64).to_be_bytes();
        for part in [purpose.name(), b"\0", &length, aad, plaintext] {
            whole.update(part);
        }
        let tag = whole.sign();
        let nonce = tag.as_ref().first_chunk().copied();
        self.seal_with(nonce.ok_or_else(|| io::Error::other("no tag"))?, purpose, plaintext, aad)
    }

    fn seal_with(
        &self,
        nonce: [u8; NONCE_LEN],
        purpose: Purpose,
        plaintext: &[u8],
        aad: &[u8],
    ) -> io::Result<String> {
        let mut sealed = plaintext.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound(purpose, aad), &mut sealed)
            .map_err(refused)?;
        let mut text = String::new();
        URL_SAFE_NO_PAD.encode_string([&nonce[..], &sealed].concat(), &mut text);
        if text.len() > LONGEST {
            return Err(io::Error::other("too long to be sealed"));
        }
        Ok(text)
    }

    /// What was sealed for this purpose with this `aad`; `None` for anything else.
    pub(crate) fn open(&self, purpose: Purpose, text: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
        if text.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.key.open_in_place(nonce, bound(purpose, aad), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

/// `ring` says that it failed, and never why.
fn refused(_: ring::error::Unspecified) -> io::Error {
    io::Error::other("the cipher refuses")
}

/// Who somebody is, in bytes that no two principals share: for `aad`.
pub(crate) fn identity(principal: &Principal) -> Vec<u8> {
    let (issuer, subject) = (principal.issuer().as_bytes(), principal.subject().as_bytes());
    [&(issuer.len() as u64).to_be_bytes()[..], issuer, subject].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(seal: &Seal) -> String {
        seal.seal(Purpose::Input, b"plain", b"aad").unwrap()
    }

    fn open(seal: &Seal, text: &str) -> Option<Vec<u8>> {
        seal.open(Purpose::Input, text.as_bytes(), b"aad")
    }

    #[test]
    fn what_was_sealed_opens() {
        let seal = Seal::new().unwrap();
        for plaintext in [&b""[..], b"x", &[0xff; 300_000]] {
            let text = seal.seal(Purpose::Input, plaintext, b"aad").unwrap();
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            assert_eq!(open(&seal, &text).unwrap(), plaintext);
        }
    }

    #[test]
    fn nothing_is_sealed_twice_alike() {
        let seal = Seal::new().unwrap();
        assert_ne!(sealed(&seal), sealed(&seal));
    }

    #[test]
    fn names_are_sealed_alike() {
        let seal = Seal::new().unwrap();
        let name = |seal: &Seal, plain: &str, aad: &str| {
            seal.seal_alike(Purpose::Task, plain.as_bytes(), aad.as_bytes()).unwrap()
        };
        let text = name(&seal, "plain", "aad");
        assert_eq!(text, name(&seal, "plain", "aad"));
        assert_eq!(seal.open(Purpose::Task, text.as_bytes(), b"aad").unwrap(), b"plain");
        assert!(seal.open(Purpose::Input, text.as_bytes(), b"aad").is_none(), "it is for something else");
        let others = [
            name(&seal, "plaim", "aad"),
            name(&seal, "plain", "aae"),
            name(&seal, "dplain", "aa"),
            name(&Seal::new().unwrap(), "plain", "aad"),
        ];
        for other in others {
            assert_ne!(text.get(..16), other.get(..16), "another nonce");
        }
    }

    #[test]
    fn a_change_anywhere_is_noticed() {
        let seal = Seal::new().unwrap();
        let text = sealed(&seal);
        assert!(open(&seal, &text).is_some());
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[at] ^= 1 << bit;
                assert!(open(&seal, &URL_SAFE_NO_PAD.encode(&forged)).is_none(), "bit {bit} of byte {at}");
            }
        }
        // Nor is there a second spelling of the same bytes, for any character.
        for at in 0..text.len() {
            for other in ('0'..='z').chain(['-', '=', '+', '/']) {
                let mut forged = text.clone();
                forged.replace_range(at..=at, &other.to_string());
                assert!(forged == text || open(&seal, &forged).is_none(), "{other} at {at}");
            }
            assert!(open(&seal, &text[..at]).is_none(), "cut at {at}");
        }
        for longer in [format!("{text}A"), format!("{text}AAAA"), format!("{text}="), format!(" {text}")] {
            assert!(open(&seal, &longer).is_none(), "{longer}");
        }
    }

    #[test]
    fn key_and_aad_must_be_the_same() {
        let seal = Seal::new().unwrap();
        let text = sealed(&seal);
        assert!(open(&Seal::new().unwrap(), &text).is_none());
        for aad in [&b""[..], b"aad2", b"a"] {
            assert!(seal.open(Purpose::Input, text.as_bytes(), aad).is_none());
        }
    }

    #[test]
    fn what_is_too_long_is_neither_sealed_nor_opened() {
        let seal = Seal::new().unwrap();
        assert!(seal.seal(Purpose::Input, &vec![0; LONGEST], b"").is_err());
        assert!(seal.open(Purpose::Input, &vec![b'A'; LONGEST + 1], b"").is_none());
    }
}
