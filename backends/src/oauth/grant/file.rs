//! Grants in a file, sealed: they outlive weir.

mod lock;

use super::kept::{Change, Clients, Kept, Placed};
use super::{Grant, Grants, Holder, Removed};
use crate::oauth::access::Access;
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use crate::oauth::renewals::Renewals;
use async_trait::async_trait;
use lock::Lock;
use parking_lot::RwLock;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// What stands before what is sealed; sealed with it, so that no other form of the file is taken for this one.
const HEAD: &[u8] = b"weir grants 1\n";
/// The largest file that is read and written, in bytes.
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
    /// Another weir uses it.
    #[error(
        "{} is in use by another weir, which holds the lock of {}{}: one weir has users' grants; let clients use that one, by a URL of \
         `weir serve`, or stop it first, or give this one a file of its own",
        path.display(), lock.display(), by(.process)
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The file beside it whose lock is held.
        lock: PathBuf,
        /// The number that the other's process had where it runs.
        process: Option<u32>,
    },
}

fn by(process: &Option<u32>) -> String {
    process.map(|number| format!(" (process {number} where it runs)")).unwrap_or_default()
}

/// Grants that outlive weir.
pub struct FileGrants {
    path: PathBuf,
    key: Arc<LessSafeKey>,
    /// What calls read. Nothing that takes long is done while it is locked.
    kept: RwLock<Kept>,
    clients: parking_lot::Mutex<Clients>,
    /// Counts the changes to what is kept.
    changes: AtomicU64,
    /// One write after the other, each of all that is kept by then.
    writing: Arc<Mutex<Copied>>,
    renewals: Arc<Renewals>,
    /// No other weir writes the file as long as this is held.
    _lock: Lock,
}

impl fmt::Debug for FileGrants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileGrants").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What is kept, once more: it is written from here, so that nobody waits for that who only reads.
#[derive(Default)]
struct Copied {
    grants: BTreeMap<Arc<Holder>, Arc<Grant>>,
    /// The changes that somebody tried to write, and those that are written.
    tried: u64,
    written: u64,
}

impl Copied {
    fn take_in(&mut self, changes: impl IntoIterator<Item = Change>) {
        for (holder, grant) in changes {
            match grant {
                Some(grant) => drop(self.grants.insert(holder, grant)),
                None => drop(self.grants.remove(&holder)),
            }
        }
    }
}

/// What is read of the file.
#[derive(Default, Deserialize)]
struct Found {
    grants: Vec<(Holder, Grant)>,
    clients: Vec<Client>,
}

/// The same as it is written.
#[derive(Serialize)]
struct Written<'a> {
    grants: Vec<(&'a Holder, &'a Grant)>,
    clients: Vec<&'a Client>,
}

impl FileGrants {
    /// Opens the store, and holds it as long as this lives; a file that is not there yet is written with the first grant.
    ///
    /// # Errors
    /// The key is too short, another weir has the store, or the file cannot be read or opened with the key.
    pub fn open(path: &Path, key: &str) -> Result<Self, StoreError> {
        let key = derive(key)?;
        // What is read before nobody else writes any more might be old.
        let lock = Lock::hold(path)?;
        let found = find(path, &key)?;
        if exposed(path) {
            tracing::warn!(file = %path.display(), "the file of grants is not for its owner alone");
        }
        let kept = Kept::noting(found.grants);
        let mut copied = Copied::default();
        copied.take_in(kept.all());
        Ok(Self {
            path: path.to_owned(),
            key: Arc::new(key),
            kept: RwLock::new(kept),
            clients: parking_lot::Mutex::new(Clients::of(found.clients)),
            changes: AtomicU64::new(0),
            writing: Arc::new(Mutex::new(copied)),
            renewals: Arc::default(),
            _lock: lock,
        })
    }

    /// Looks whether the store could be opened, whoever has it, and changes nothing. Answers whether its file is open to others
    /// than its owner.
    ///
    /// # Errors
    /// The key is too short, or the file cannot be read or opened with it.
    pub fn examine(path: &Path, key: &str) -> Result<bool, StoreError> {
        find(path, &derive(key)?)?;
        Ok(exposed(path))
    }

    /// Writes all that is kept, after a change to it. Changes that wait for another write are written together.
    async fn save(&self) -> Result<(), OauthError> {
        let change = self.changes.fetch_add(1, Ordering::AcqRel) + 1;
        let copied = self.writing.clone().lock_owned().await;
        if copied.tried >= change {
            return if copied.written >= change { Ok(()) } else { Err(unwritten()) };
        }
        self.write(copied).await
    }

    async fn write(&self, mut copied: OwnedMutexGuard<Copied>) -> Result<(), OauthError> {
        // Every change that is counted is among what is kept.
        let tried = self.changes.load(Ordering::Acquire);
        let changes = self.kept.write().changes();
        let clients = self.clients.lock().clone();
        let (path, key) = (self.path.clone(), self.key.clone());
        // There may be many, for which calls must not wait. Whoever leaves meanwhile lets nobody else write at the same time.
        let replaced = tokio::task::spawn_blocking(move || {
            copied.take_in(changes);
            copied.tried = tried;
            let sealed = seal(&key, &copied.grants, &clients, LARGEST)?;
            replace(&path, &sealed)?;
            copied.written = tried;
            Ok(())
        });
        replaced.await.map_err(|_| failed("weir is stopping"))?.map_err(|error: std::io::Error| {
            tracing::error!(file = %self.path.display(), %error, "grants cannot be written");
            unwritten()
        })
    }
}

fn unwritten() -> OauthError {
    failed("its file cannot be written")
}

fn failed(why: &str) -> OauthError {
    OauthError::Store(why.to_owned())
}

#[async_trait]
impl Grants for FileGrants {
    fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.kept.read().get(holder)
    }

    fn page(&self, last: Option<&Arc<Holder>>) -> Vec<(Arc<Holder>, Arc<Grant>)> {
        self.kept.read().page(last)
    }

    async fn put(&self, holder: Holder, grant: Grant) -> Result<(), OauthError> {
        let placed = Placed::new(holder, grant);
        let before = self.kept.write().put(&placed)?;
        let saved = self.save().await;
        if saved.is_err() {
            self.kept.write().take_back(&placed, before);
            self.changes.fetch_add(1, Ordering::AcqRel);
        }
        saved
    }

    async fn replace(&self, holder: &Holder, old: &Access, grant: Grant) -> Result<bool, OauthError> {
        let placed = Placed::new(holder.clone(), grant);
        let replaced = self.kept.write().replace(old, &placed)?;
        if replaced {
            self.save().await?;
        }
        Ok(replaced)
    }

    async fn remove(&self, holder: &Holder, only: Option<&Access>) -> Removed {
        let grant = self.kept.write().remove(holder, only);
        let written = if grant.is_some() { self.save().await } else { Ok(()) };
        Removed { grant, written }
    }

    async fn settle(&self) -> Result<(), OauthError> {
        let copied = self.writing.clone().lock_owned().await;
        if copied.written >= self.changes.load(Ordering::Acquire) {
            return Ok(());
        }
        self.write(copied).await
    }

    fn renewals(&self) -> Arc<Renewals> {
        self.renewals.clone()
    }

    fn client(&self, issuer: &str, redirect: &str) -> Option<Client> {
        self.clients.lock().get(issuer, redirect)
    }

    async fn register(&self, client: Client) -> Result<(), OauthError> {
        self.clients.lock().register(client);
        self.save().await
    }

    async fn unregister(&self, client: &Client) -> Result<(), OauthError> {
        let removed = self.clients.lock().unregister(client);
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

fn seal(
    key: &LessSafeKey,
    grants: &BTreeMap<Arc<Holder>, Arc<Grant>>,
    clients: &Clients,
    largest: u64,
) -> std::io::Result<Vec<u8>> {
    let other = std::io::Error::other;
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| other("there is no randomness"))?;
    let mut bytes = [HEAD, &nonce].concat();
    let start = bytes.len();
    let grants = grants.iter().map(|(holder, grant)| (&**holder, &**grant)).collect();
    serde_json::to_writer(&mut bytes, &Written { grants, clients: clients.all().collect() })?;
    // Rather none than one that nobody could read again.
    if (bytes.len() + CHACHA20_POLY1305.tag_len()) as u64 > largest {
        return Err(other("it would be too large"));
    }
    let plain = bytes.get_mut(start..).unwrap_or_default();
    let tag = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(HEAD), plain);
    let tag = tag.map_err(|_| other("it cannot be sealed"))?;
    bytes.extend_from_slice(tag.as_ref());
    Ok(bytes)
}

fn unseal(key: &LessSafeKey, mut bytes: Vec<u8>) -> Option<Found> {
    let rest = bytes.strip_prefix(HEAD)?;
    let nonce = *rest.first_chunk::<NONCE_LEN>()?;
    let sealed = bytes.get_mut(HEAD.len() + NONCE_LEN..)?;
    let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(HEAD), sealed).ok()?;
    serde_json::from_slice(plain).ok()
}

/// What the file holds; nothing where there is none yet.
fn find(path: &Path, key: &LessSafeKey) -> Result<Found, StoreError> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    match read(path) {
        Ok(bytes) => unseal(key, bytes).ok_or_else(|| StoreError::Sealed { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Better told at the start than to the first user.
            folder(path).metadata().map_err(failed)?;
            Ok(Found::default())
        }
        Err(error) => Err(failed(error)),
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether others than its owner may do something with the file.
fn exposed(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if !path.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
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
    File::open(folder(path))?.sync_all()
}

#[cfg(test)]
pub(super) mod tests;
