//! Several managers on one store, as several processes share a file.

use codex_auth::{AuthError, BlockingStore, FileStore, MemoryStore, StoreError, TokenStore};

use crate::support::{Authority, HOUR, TestClock, manager};

#[tokio::test]
async fn two_processes_never_use_a_token_twice() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let one = manager(store.clone(), &authority, &clock);
    let other = manager(store.clone(), &authority, &clock);
    // Both have read the expired tokens before either refreshes.
    let first = tokio::spawn(async move { one.bearer().await });
    authority.reached(1).await;
    let second = tokio::spawn(async move { other.bearer().await });
    tokio::task::yield_now().await;
    authority.open();
    assert_eq!(first.await.unwrap().unwrap().token.expose(), "access-2");
    assert_eq!(second.await.unwrap().unwrap().token.expose(), "access-2");
    assert_eq!(authority.seen(), ["refresh-1"]);
}

#[tokio::test]
async fn the_value_read_under_the_lock_is_the_one_that_is_spent() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, HOUR));
    let one = manager(store.clone(), &authority, &clock);
    let other = manager(store.clone(), &authority, &clock);
    let (held, _) = (one.bearer().await.unwrap(), other.bearer().await.unwrap());
    // The other process rotates the tokens, which have also expired by the time this one reads them.
    other.replace(&held).await.unwrap();
    clock.advance(HOUR);
    assert_eq!(one.bearer().await.unwrap().token.expose(), "access-3");
    assert_eq!(authority.seen(), ["refresh-1", "refresh-2"]);
}

#[tokio::test]
async fn a_token_that_another_process_replaced_is_not_refreshed() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, HOUR));
    let one = manager(store.clone(), &authority, &clock);
    let other = manager(store.clone(), &authority, &clock);
    let rejected = one.bearer().await.unwrap();
    other.replace(&rejected).await.unwrap();
    assert_eq!(one.replace(&rejected).await.unwrap().token.expose(), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn another_account_is_not_mixed_into_a_request_under_way() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    let rejected = manager.bearer().await.unwrap();
    let mut tokens = clock.tokens(9, HOUR);
    tokens.account_id = Some("another".to_owned());
    store.set_tokens(Some(tokens));
    assert_eq!(manager.replace(&rejected).await.unwrap_err(), AuthError::AccountChanged);
    // The next request is made for the new account from the start.
    assert_eq!(manager.bearer().await.unwrap().account_id.as_deref(), Some("another"));
    assert_eq!(authority.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_request_is_served_with_the_account_that_logged_in_meanwhile() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    let lock = store.try_lock().await.unwrap().unwrap();
    manager.status().await;
    let caller = tokio::spawn(async move { manager.bearer().await });
    // The first account's tokens are read; by now the caller waits for the lock to renew them.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    let mut tokens = clock.tokens(9, HOUR);
    tokens.account_id = Some("another".to_owned());
    store.set_tokens(Some(tokens));
    drop(lock);
    let bearer = caller.await.unwrap().unwrap();
    assert_eq!((bearer.token.expose(), bearer.account_id.as_deref()), ("access-9", Some("another")));
    assert_eq!(authority.requests(), 0, "nothing of either account was spent");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_released_is_waited_for_and_then_named() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let lock = store.try_lock().await.unwrap().unwrap();
    let manager = manager(store.clone(), &authority, &clock);
    let error = manager.bearer().await.unwrap_err();
    assert!(matches!(error, AuthError::Store(StoreError::Locked { .. })), "{error}");
    drop(lock);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_managers_on_one_file_never_spend_a_token_twice() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::new(directory.path().join("credentials.json"));
    let (clock, authority) = (TestClock::new(), Authority::new());
    let lock = BlockingStore::try_lock(&store).unwrap().unwrap();
    BlockingStore::save(&store, &lock, &clock.tokens(1, HOUR)).unwrap();
    drop(lock);
    let workers: Vec<_> = (0..8)
        .map(|_| {
            // A store of its own, so that only the file is shared.
            let manager = manager(FileStore::new(store.path()), &authority, &clock);
            tokio::spawn(async move {
                for _ in 0..3 {
                    let bearer = manager.bearer().await.unwrap();
                    manager.replace(&bearer).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    authority.assert_no_token_was_sent_twice();
    let stored = BlockingStore::load(&store).unwrap().unwrap();
    assert_eq!(stored.refresh_token.unwrap().expose(), format!("refresh-{}", authority.requests() + 1));
}
