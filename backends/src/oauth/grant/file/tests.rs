use super::*;
use crate::oauth::registration::Method;
use secrecy::{ExposeSecret, SecretString};

const KEY: &str = "0123456789abcdef0123456789abcdef";

pub(in crate::oauth::grant) fn holder(name: &str) -> Holder {
    Holder { issuer: "https://idp".into(), subject: name.into(), backend: "b".into() }
}

fn client() -> Client {
    Client {
        issuer: "https://as".into(),
        id: "c".into(),
        secret: Some(SecretString::from("hunter2-client")),
        method: Method::ClientSecretBasic,
        redirect: "https://w/c".into(),
        until: None,
    }
}

pub(in crate::oauth::grant) fn grant() -> Grant {
    Grant {
        url: "https://server/mcp".into(),
        resource: "https://server/mcp".into(),
        client: client(),
        token_endpoint: "https://as/token".parse().unwrap(),
        revocation_endpoint: None,
        asked: vec!["read".into()],
        access: "hunter2-access".into(),
        refresh: Some(SecretString::from("hunter2-refresh")),
        given: 1,
        until: Some(2),
        orphaned: None,
        seen: 3,
    }
}

fn open(path: &Path, key: &str) -> FileGrants {
    FileGrants::open(path, key).unwrap()
}

/// What is in the file, whoever has it.
fn written(path: &Path) -> Vec<(Holder, Grant)> {
    find(path, &derive(KEY).unwrap()).unwrap().grants
}

#[tokio::test]
async fn grants_outlive_weir() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants");
    let store = open(&path, KEY);
    assert!(!path.exists(), "nothing is kept yet");
    store.put(holder("ada"), grant()).await.unwrap();
    store.put(holder("bob"), grant()).await.unwrap();
    store.register(client()).await.unwrap();
    store.remove(&holder("bob"), None).await.written.unwrap();
    // As it would be left by a crash in the middle of writing.
    std::fs::write(folder.path().join("grants.new"), "half").unwrap();
    drop(store);
    let store = open(&path, KEY);
    let kept = store.get(&holder("ada")).unwrap();
    assert_eq!(kept.access.expose_secret(), "hunter2-access");
    assert_eq!(kept.refresh.as_ref().unwrap().expose_secret(), "hunter2-refresh");
    assert_eq!(kept.client, client());
    assert!(store.get(&holder("bob")).is_none());
    assert_eq!(store.client("https://as", "https://w/c"), Some(client()));
    assert_eq!(*store.page(None)[0].0, holder("ada"));
    store.put(holder("eve"), grant()).await.unwrap();
    assert_eq!(written(&path).len(), 2);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bytes = std::fs::read(&path).unwrap();
    for word in ["hunter2", "ada", "server"] {
        assert!(!bytes.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    let shown = format!("{store:?} {:?}", store.get(&holder("ada")));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn another_key_or_a_damaged_file_opens_nothing_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants");
    open(&path, KEY).put(holder("ada"), grant()).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let other = FileGrants::open(&path, "another key of thirty-two letters").unwrap_err();
    assert!(other.to_string().contains("another one"), "{other}");
    assert!(matches!(FileGrants::open(&path, "short").unwrap_err(), StoreError::Key));
    for at in [0, HEAD.len(), HEAD.len() + NONCE_LEN, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(FileGrants::open(&path, KEY).unwrap_err(), StoreError::Sealed { .. }), "{at}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "it is left as it is");
    }
    std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
    assert!(FileGrants::open(&path, KEY).is_err());
    std::fs::write(&path, "").unwrap();
    assert!(FileGrants::open(&path, KEY).is_err(), "an empty file is none of weir's");
    assert!(matches!(
        FileGrants::open(&folder.path().join("none/grants"), KEY).unwrap_err(),
        StoreError::File { .. }
    ));
}

#[tokio::test]
async fn what_cannot_be_written_is_said_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, aside) = (folder.path().join("inner"), folder.path().join("aside"));
    let path = inner.join("grants");
    std::fs::create_dir(&inner).unwrap();
    let store = open(&path, KEY);
    store.put(holder("ada"), grant()).await.unwrap();
    std::fs::rename(&inner, &aside).unwrap();
    let other = || Grant { access: "other".into(), ..grant() };
    let access = |name: &str| Some(store.get(&holder(name))?.access.expose_secret().to_owned());
    for name in ["ada", "bob"] {
        let error = store.put(holder(name), other()).await.unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
    assert_eq!((access("ada").as_deref(), access("bob")), (Some("hunter2-access"), None));
    // The one before is good no more, so what was renewed is used until weir ends.
    assert!(store.replace(&holder("ada"), &"hunter2-access".into(), other()).await.is_err());
    assert_eq!(access("ada").as_deref(), Some("other"));
    assert!(store.settle().await.is_err());
    // Once there is a place again, everything is written, whether or not there is another change.
    std::fs::rename(&aside, &inner).unwrap();
    store.settle().await.unwrap();
    let there = written(&path);
    assert_eq!((there.len(), there[0].1.access.expose_secret()), (1, "other"));
    let before = std::fs::read(&path).unwrap();
    store.settle().await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before, "there is nothing to write");
    store.put(holder("eve"), grant()).await.unwrap();
    let written = written(&path);
    let names = written.iter().map(|(holder, grant)| (&*holder.subject, grant.access.expose_secret()));
    assert_eq!(names.collect::<Vec<_>>(), [("ada", "other"), ("eve", "hunter2-access")]);
}

#[tokio::test]
async fn a_disconnect_and_a_renewal_do_not_undo_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants");
    let store = open(&path, KEY);
    store.put(holder("ada"), grant()).await.unwrap();
    let renewed = || Grant { access: "renewed".into(), ..grant() };
    let old = Access::from("hunter2-access");
    assert!(store.replace(&holder("ada"), &old, renewed()).await.unwrap());
    assert!(!store.replace(&holder("ada"), &old, renewed()).await.unwrap(), "it is another by now");
    let removed = store.remove(&holder("ada"), None).await;
    assert_eq!(removed.grant.unwrap().access.expose_secret(), "renewed", "this is what is to be revoked");
    assert!(!store.replace(&holder("ada"), &"renewed".into(), renewed()).await.unwrap());
    assert!(store.get(&holder("ada")).is_none() && written(&path).is_empty());
}

#[tokio::test]
async fn one_weir_has_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants");
    let store = open(&path, KEY);
    let second = FileGrants::open(&path, KEY).unwrap_err();
    assert!(matches!(&second, StoreError::InUse { process, .. } if *process == Some(std::process::id())));
    for words in ["grants is in use by another weir", "grants.lock"] {
        assert!(second.to_string().contains(words), "{second}");
    }
    // Whoever only looks is not in the way.
    store.put(holder("ada"), grant()).await.unwrap();
    assert!(!FileGrants::examine(&path, KEY).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(FileGrants::examine(&path, KEY).unwrap(), "others may read it");
    let other = FileGrants::examine(&path, "another key of thirty-two letters").unwrap_err();
    assert!(matches!(other, StoreError::Sealed { .. }));
    drop(store);
    assert!(open(&path, KEY).get(&holder("ada")).is_some());
}

#[test]
fn nothing_is_written_that_could_not_be_read() {
    let (key, clients) = (derive(KEY).unwrap(), Clients::default());
    let grants = BTreeMap::from([(Arc::new(holder("ada")), Arc::new(grant()))]);
    let whole = seal(&key, &grants, &clients, LARGEST).unwrap();
    let length = whole.len() as u64;
    assert!(seal(&key, &grants, &clients, length).is_ok());
    let error = seal(&key, &grants, &clients, length - 1).unwrap_err();
    assert!(error.to_string().contains("too large"), "{error}");
    assert_eq!(unseal(&key, whole).unwrap().grants.len(), 1);
}

#[tokio::test]
async fn changes_that_wait_for_a_write_are_written_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grants");
    let store = open(&path, KEY);
    let turn = store.writing.clone().lock_owned().await;
    let names = (0..50).map(|number| format!("user{number}")).collect::<Vec<_>>();
    let mut puts = names
        .iter()
        .map(|name| Box::pin(store.put(holder(name), grant())))
        .collect::<futures_util::stream::FuturesUnordered<_>>();
    // All have made their change, and wait.
    assert!(futures_util::poll!(futures_util::StreamExt::next(&mut puts)).is_pending());
    drop(turn);
    futures_util::StreamExt::next(&mut puts).await.unwrap().unwrap();
    assert_eq!(written(&path).len(), 50, "the first write was of all");
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    while let Some(put) = futures_util::StreamExt::next(&mut puts).await {
        put.unwrap();
    }
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), before, "it was the only one");
}
