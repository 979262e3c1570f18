//! Grants in a file, sealed: they outlive weir.

use super::memory::{Kept, Written};
use super::{Grant, Grants, Holder};
use crate::oauth::access::Access;
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use async_trait::async_trait;
use parking_lot::RwLock;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// What stands before what is sealed; sealed with it, so that no other form of the file is taken for this one.
const HEAD: &[u8] = b"weir grants 1\n";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 256 << 20;
/// The shortest key, in characters.
const SHORTEST_KEY: usize = 32;

/// The store cannot be used; its file stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The key is too short to be one.
    #[error("the key has fewer than 32 characters; make one with `openssl rand -base64 32`")]
    Key,
    /// The file cannot be read or written.
    #[error("{} cannot be used: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is none of weir's, or was sealed with another key.
    #[error(
        "{} does not open with this key: it was written with another one, or it is damaged; it is left as it is",
        path.display()
    )]
    Sealed {
        /// The file.
        path: PathBuf,
    },
}

/// Grants that outlive weir.
pub struct FileGrants {
    path: PathBuf,
    key: Arc<LessSafeKey>,
    kept: RwLock<Kept>,
    /// Counts the changes to what is kept.
    changes: AtomicU64,
    /// One write after the other, each of all that is kept by then; the changes that are written.
    writing: Mutex<u64>,
}

impl fmt::Debug for FileGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileGrants").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileGrants {
    /// Opens the store; a file that is not there yet is written with the first grant.
    ///
    /// # Errors
    /// The key is too short, or the file cannot be read or opened with it.
    pub fn open(path: &Path, key: &str) -> Result<Self, StoreError> {
        let key = derive(key)?;
        let failed = |source| StoreError::File { path: path.to_owned(), source };
        let kept = match read(path) {
            Ok(bytes) => unseal(&key, bytes).ok_or_else(|| StoreError::Sealed { path: path.to_owned() })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // Better told at the start than to the first user.
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                folder.unwrap_or(Path::new(".")).metadata().map_err(failed)?;
                Kept::default()
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            path: path.to_owned(),
            key: Arc::new(key),
            kept: RwLock::new(kept),
            changes: AtomicU64::new(0),
            writing: Mutex::new(0),
        })
    }

    /// Writes all that is kept, after a change to it. Changes that wait for another write are written together.
    async fn save(&self) -> Result<(), OauthError> {
        let change = self.changes.fetch_add(1, Ordering::AcqRel) + 1;
        let mut written = self.writing.lock().await;
        if *written >= change {
            return Ok(());
        }
        // Every change that is counted is among what is kept.
        let changes = self.changes.load(Ordering::Acquire);
        let kept = self.kept.read().clone();
        let (path, key) = (self.path.clone(), self.key.clone());
        // There may be many, for which calls must not wait.
        let replaced = tokio::task::spawn_blocking(move || {
            let sealed =
                seal(&key, &kept.write()).ok_or_else(|| std::io::Error::other("it cannot be sealed"))?;
            replace(&path, &sealed)
        });
        replaced.await.map_err(|_| failed("weir is stopping"))?.map_err(|error| {
            tracing::error!(file = %self.path.display(), %error, "grants cannot be written");
            failed("its file cannot be written, so that it ends with weir")
        })?;
        *written = changes;
        Ok(())
    }
}

fn failed(why: &str) -> OauthError {
    OauthError::Store(why.to_owned())
}

#[async_trait]
impl Grants for FileGrants {
    fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.kept.read().get(holder)
    }

    fn holders(&self, backend: &str) -> Vec<Holder> {
        self.kept.read().holders(backend)
    }

    async fn put(&self, holder: Holder, grant: Grant) -> Result<(), OauthError> {
        self.kept.write().put(holder, grant)?;
        self.save().await
    }

    async fn remove(&self, holder: &Holder, only: Option<&Access>) -> Result<(), OauthError> {
        let removed = self.kept.write().remove(holder, only);
        if removed { self.save().await } else { Ok(()) }
    }

    fn client(&self, issuer: &str, redirect: &str) -> Option<Client> {
        self.kept.read().client(issuer, redirect)
    }

    async fn register(&self, client: Client) -> Result<(), OauthError> {
        self.kept.write().register(client);
        self.save().await
    }

    async fn unregister(&self, client: &Client) -> Result<(), OauthError> {
        let removed = self.kept.write().unregister(client);
        if removed { self.save().await } else { Ok(()) }
    }
}

/// A key of the cipher's length (RFC 5869): what the operator gives may be of any.
fn derive(key: &str) -> Result<LessSafeKey, StoreError> {
    if key.chars().count() < SHORTEST_KEY {
        return Err(StoreError::Key);
    }
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, HEAD);
    let derived = salt.extract(key.as_bytes());
    let derived = derived.expand(&[b"file"], &CHACHA20_POLY1305).map_err(|_| StoreError::Key)?;
    Ok(LessSafeKey::new(UnboundKey::from(derived)))
}

fn seal(key: &LessSafeKey, written: &Written) -> Option<Vec<u8>> {
    let plain = SecretString::from(serde_json::to_string(written).ok()?);
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let mut sealed = plain.expose_secret().as_bytes().to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(HEAD), &mut sealed).ok()?;
    Some([HEAD, &nonce, &sealed].concat())
}

fn unseal(key: &LessSafeKey, bytes: Vec<u8>) -> Option<Kept> {
    let rest = bytes.strip_prefix(HEAD)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
    let mut sealed = sealed.to_vec();
    let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(HEAD), &mut sealed).ok()?;
    serde_json::from_slice::<Written>(plain).ok().map(Kept::from)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if read as u64 > LARGEST {
        return Err(std::io::Error::other("it is too large"));
    }
    Ok(bytes)
}

/// Puts a file in the place of another at one stroke; only its owner may read it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(".new");
    let new = path.with_file_name(name);
    // One that is left over may have other permissions.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
pub(super) mod tests;
