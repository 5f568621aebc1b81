//! Stores that fail, and processes that die between two steps.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc;
use std::time::Duration;

use codex_auth::{AuthError, BlockingStore, GrantRefusal, LoginReason, LoginState, RefreshPolicy};

use crate::support::{Authority, FaultyStore, HOUR, TestClock, Whim, manager};

fn stored(store: &FaultyStore) -> String {
    store.inner.tokens().unwrap().refresh_token.unwrap().expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_saved_are_served_from_memory_and_saved_later() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    store.faults.save.store(true, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    assert!(!manager.status().await.saved);
    // Rereading the store must not bring the spent token back, and a further refresh spends the one in memory.
    clock.advance(HOUR);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-3");
    assert_eq!(stored(&store), "refresh-1");
    store.faults.save.store(false, SeqCst);
    tokio::time::advance(Duration::from_secs(60)).await;
    manager.bearer().await.unwrap();
    manager.wait_for_refresh().await;
    assert_eq!(stored(&store), "refresh-3");
    assert!(manager.status().await.saved);
    authority.assert_no_token_was_sent_twice();
}

#[tokio::test]
async fn no_caller_gets_the_new_token_before_it_is_stored() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    let (open, gate) = mpsc::channel();
    *store.faults.save_gate.lock().unwrap() = Some(gate);
    let caller = || {
        let manager = manager.clone();
        tokio::spawn(async move { manager.bearer().await })
    };
    let first = caller();
    // The write has begun once it has taken the gate.
    while store.faults.save_gate.lock().unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let second = caller();
    assert_eq!(manager.status().await.expires_at, Some(clock.now()), "the old tokens are the current ones");
    assert!(!first.is_finished() && !second.is_finished());
    open.send(()).unwrap();
    for caller in [first, second] {
        assert_eq!(caller.await.unwrap().unwrap().token.expose(), "access-2");
        assert_eq!(stored(&store), "refresh-2");
    }
    assert_eq!(authority.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_by_another_process_wins_over_unsaved_tokens() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    store.faults.save.store(true, SeqCst);
    manager.bearer().await.unwrap();
    store.inner.set_tokens(Some(clock.tokens(50, HOUR)));
    store.faults.save.store(false, SeqCst);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-50");
    manager.wait_for_refresh().await;
    assert_eq!(stored(&store), "refresh-50");
}

/// A program that ends soon after the store has recovered loses nothing.
#[tokio::test(start_paused = true)]
async fn unsaved_tokens_are_saved_at_the_end_and_soon_while_the_program_runs() {
    for keeps_fresh in [false, true] {
        let (clock, authority) = (TestClock::new(), Authority::new());
        let store = FaultyStore::holding(clock.tokens(1, 0));
        let manager = manager(store.clone(), &authority, &clock);
        store.faults.save.store(true, SeqCst);
        assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
        assert!(!manager.status().await.saved);
        store.faults.save.store(false, SeqCst);
        if keeps_fresh {
            let policy = RefreshPolicy::default();
            tokio::select! {
                () = manager.keep_fresh() => {}
                () = tokio::time::sleep(policy.backoff * 2) => {}
            }
        } else {
            manager.wait_for_refresh().await;
        }
        assert!(manager.status().await.saved);
        assert_eq!((stored(&store).as_str(), authority.requests()), ("refresh-2", 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_not_spent_while_the_next_cannot_be_stored() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 60));
    let manager = manager(store.clone(), &authority, &clock);
    store.faults.probe.store(true, SeqCst);
    store.faults.save.store(true, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
    assert_eq!(authority.requests(), 0);
    assert!(manager.status().await.problem.is_some());
    // Once the access token has expired, there is no other way.
    clock.advance(60);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn an_unreadable_store_does_not_take_a_valid_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    let bearer = manager.bearer().await.unwrap();
    store.faults.load.store(true, SeqCst);
    store.inner.set_tokens(Some(clock.tokens(9, HOUR)));
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
    // No refresh token is used while the store cannot be read.
    assert!(matches!(manager.replace(&bearer).await.unwrap_err(), AuthError::Store(_)));
    assert_eq!(authority.requests(), 0);
    store.faults.load.store(false, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-9");
}

#[tokio::test]
async fn a_store_that_cannot_be_read_at_first_is_reported() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    store.faults.load.store(true, SeqCst);
    assert!(matches!(manager.bearer().await.unwrap_err(), AuthError::Store(_)));
    assert_eq!(manager.status().await.state, LoginState::Unreadable);
    store.faults.load.store(false, SeqCst);
    assert_eq!(manager.bearer().await.unwrap().token.expose(), "access-1");
}

#[tokio::test]
async fn death_after_the_write_loses_nothing() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    store.faults.die_after_save.store(true, SeqCst);
    let dying = manager(store.clone(), &authority, &clock);
    // The task that wrote has panicked; its callers get the tokens from memory.
    assert_eq!(dying.bearer().await.unwrap().token.expose(), "access-2");
    store.faults.die_after_save.store(false, SeqCst);
    let restarted = manager(store.clone(), &authority, &clock);
    assert_eq!(restarted.bearer().await.unwrap().token.expose(), "access-2");
    assert_eq!(stored(&store), "refresh-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn death_before_the_write_leaves_the_old_token_and_a_clear_error() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    store.faults.die_before_save.store(true, SeqCst);
    let _ = manager(store.clone(), &authority, &clock).bearer().await;
    store.faults.die_before_save.store(false, SeqCst);
    assert_eq!(stored(&store), "refresh-1");
    let restarted = manager(store.clone(), &authority, &clock);
    let error = restarted.bearer().await.unwrap_err();
    let reason = LoginReason::Refused(GrantRefusal::Reused);
    assert_eq!(error, AuthError::LoginExpired { reason, login: "log in again".to_owned() });
}

#[tokio::test]
async fn death_before_the_request_leaves_everything_as_it_was() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = FaultyStore::holding(clock.tokens(1, 0));
    authority.next(Whim::Hang);
    let dying = manager(store.clone(), &authority, &clock);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let caller = runtime.spawn(async move { dying.bearer().await });
    authority.reached(1).await;
    // The process ends: its tasks and its lock go with it.
    runtime.shutdown_background();
    assert!(caller.await.is_err());
    while store.try_lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let restarted = manager(store.clone(), &authority, &clock);
    assert_eq!(restarted.bearer().await.unwrap().token.expose(), "access-2");
}
