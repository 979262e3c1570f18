use super::*;
use secrecy::SecretString;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Gives tokens of ten minutes, one for each place in `gate`, and counts how often it is asked.
#[derive(Debug)]
struct Scripted {
    asked: AtomicU64,
    gate: Semaphore,
    down: std::sync::atomic::AtomicBool,
}

#[derive(Debug)]
struct Shared(Arc<Scripted>);

#[async_trait]
impl Source for Shared {
    async fn obtain(&self) -> Result<Fresh, CredentialError> {
        let number = self.0.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.gate.acquire().await.unwrap().forget();
        if self.0.down.load(Ordering::SeqCst) {
            return Err(CredentialError::unavailable("cannot be reached", "s3cret"));
        }
        Ok(Fresh { token: SecretString::from(format!("t{number}")), life: Duration::from_secs(600) })
    }
}

fn slot() -> (Arc<Slot>, Arc<Scripted>) {
    let source = Arc::new(Scripted {
        asked: AtomicU64::new(0),
        gate: Semaphore::new(0),
        down: std::sync::atomic::AtomicBool::new(false),
    });
    let slot = Slot::new("b".to_owned(), Box::new(Shared(source.clone())), Handle::current());
    (Arc::new(slot), source)
}

async fn shown(slot: &Arc<Slot>) -> String {
    let token = slot.token().await.unwrap();
    token.header.to_str().unwrap().to_owned()
}

/// Lets what runs beside get as far as it can.
async fn others() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_is_made_for_all_who_wait() {
    let (slot, source) = slot();
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let slot = slot.clone();
            tokio::spawn(async move { shown(&slot).await })
        })
        .collect();
    others().await;
    source.gate.add_permits(1);
    for shown in waiting {
        assert_eq!(shown.await.unwrap(), "Bearer t1");
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_leaves_stops_nobody() {
    let (slot, source) = slot();
    let gone = tokio::spawn({
        let slot = slot.clone();
        async move { shown(&slot).await }
    });
    others().await;
    gone.abort();
    source.gate.add_permits(1);
    assert_eq!(shown(&slot).await, "Bearer t1");
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_replaced_before_it_ends_and_nobody_waits() {
    let (slot, source) = slot();
    source.gate.add_permits(1);
    assert_eq!(shown(&slot).await, "Bearer t1");
    tokio::time::advance(Duration::from_secs(470)).await;
    assert_eq!(shown(&slot).await, "Bearer t1");
    assert_eq!(source.asked.load(Ordering::SeqCst), 1, "it is good for long");
    tokio::time::advance(Duration::from_secs(20)).await;
    for _ in 0..10 {
        assert_eq!(shown(&slot).await, "Bearer t1");
    }
    others().await;
    assert_eq!(source.asked.load(Ordering::SeqCst), 2, "one is fetched beside the calls");
    source.gate.add_permits(1);
    others().await;
    assert_eq!(shown(&slot).await, "Bearer t2");
    // One that ended is never shown.
    tokio::time::advance(Duration::from_secs(700)).await;
    source.gate.add_permits(1);
    assert_eq!(shown(&slot).await, "Bearer t3");
}

#[tokio::test(start_paused = true)]
async fn failures_are_backed_off_and_overcome() {
    let (slot, source) = slot();
    source.gate.add_permits(100);
    source.down.store(true, Ordering::SeqCst);
    let mut errors = Vec::new();
    for _ in 0..20 {
        errors.push(slot.token().await.unwrap_err());
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1, "calls do not hammer a server that is down");
    assert!(errors.iter().all(|error| error.to_string().contains("cannot be reached")), "{errors:?}");
    assert!(errors.iter().all(|error| !error.to_string().contains("s3cret")), "{errors:?}");
    source.down.store(false, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(shown(&slot).await, "Bearer t2");
    // While it is good, nobody notices that no other can be had.
    source.down.store(true, Ordering::SeqCst);
    tokio::time::advance(Duration::from_secs(500)).await;
    for _ in 0..10 {
        assert_eq!(shown(&slot).await, "Bearer t2");
        others().await;
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 3);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert!(slot.token().await.is_err(), "it ended");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let (slot, source) = slot();
    source.gate.add_permits(100);
    let first = slot.token().await.unwrap();
    let renewals: Vec<_> = (0..50)
        .map(|_| {
            let (slot, number) = (slot.clone(), first.number);
            tokio::spawn(async move { slot.renew(number).await.unwrap().unwrap().number })
        })
        .collect();
    for renewal in renewals {
        assert_eq!(renewal.await.unwrap(), 2);
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 2, "one for all that were refused");
    assert!(slot.renew(2).await.unwrap().is_none(), "a backend that refuses everything gets no more");
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(slot.renew(2).await.unwrap().unwrap().number, 3);
    assert!(!format!("{slot:?}").contains("t3"), "{slot:?}");
}
