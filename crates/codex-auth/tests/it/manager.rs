//! Serving and renewing bearers in one process.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codex_auth::{
    AnyStore, AnyTokenEndpoint, AuthError, Bearer, EndpointError, GrantRefusal, LoginReason, LoginState, MemoryStore,
    RefreshPolicy, RefreshReason, Secret, TokenEndpoint as _, TokenManager,
};
use tokio::time::Instant;

use crate::support::{Authority, HOUR, TestClock, Whim, manager};

/// The login command of a store that was not given one.
const LOGIN: &str = "the program's login command";

fn token(bearer: &Bearer) -> &str {
    bearer.token.expose()
}

fn unavailable() -> EndpointError {
    EndpointError::Unavailable { message: "status 500".to_owned(), retry_after: None }
}

fn reused() -> EndpointError {
    EndpointError::Refused { refusal: GrantRefusal::Reused }
}

fn expired(reason: LoginReason) -> AuthError {
    AuthError::LoginExpired { reason, login: LOGIN.to_owned() }
}

#[tokio::test]
async fn a_fresh_token_is_served_without_a_request() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, HOUR)), &authority, &clock);
    let bearer = manager.bearer().await.unwrap();
    assert_eq!((token(&bearer), bearer.account_id.as_deref()), ("access-1", Some("account")));
    assert_eq!(authority.requests(), 0);
}

#[tokio::test]
async fn a_manager_of_any_store_and_endpoint_is_one_type() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = AnyStore::new(MemoryStore::with_tokens(clock.tokens(1, HOUR)));
    let endpoint = AnyTokenEndpoint::new(authority.clone());
    let manager: TokenManager =
        TokenManager::with_policy(store, endpoint.clone(), clock.handle(), RefreshPolicy::default());
    let rejected = manager.clone().bearer().await.unwrap();
    assert_eq!(token(&manager.replace(&rejected).await.unwrap()), "access-2");
    let refused = endpoint.refresh(&Secret::new("refresh-1"), RefreshReason::Rejected).await.unwrap_err();
    assert_eq!(refused, reused());
    assert_eq!(authority.seen(), ["refresh-1", "refresh-1"]);
}

#[tokio::test]
async fn a_missing_login_is_reported_with_the_store_and_the_command() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::default();
    let manager = manager(store.clone(), &authority, &clock);
    let error = manager.bearer().await.unwrap_err();
    assert_eq!(error, AuthError::NotLoggedIn { location: "memory".to_owned(), login: LOGIN.to_owned() });

    assert_eq!(manager.status().await.state, LoginState::LoggedOut);
    // A login by another process needs no restart.
    store.set_tokens(Some(clock.tokens(1, HOUR)));
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
    assert!(manager.status().await.is_usable());
}

#[tokio::test]
async fn two_hundred_callers_cause_one_refresh() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.bearer().await })
        })
        .collect();
    authority.reached(1).await;
    authority.open();
    for caller in callers {
        assert_eq!(token(&caller.await.unwrap().unwrap()), "access-2");
    }
    assert_eq!(authority.seen(), ["refresh-1"]);
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-2");
}

#[tokio::test]
async fn a_cancelled_caller_loses_nothing() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    let first = tokio::spawn({
        let manager = manager.clone();
        async move { manager.bearer().await }
    });
    authority.reached(1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    authority.open();
    manager.wait_for_refresh().await;
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-2");
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once_for_all_who_held_it() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, HOUR)), &authority, &clock);
    let rejected = manager.bearer().await.unwrap();
    assert_eq!(token(&manager.replace(&rejected).await.unwrap()), "access-2");
    assert_eq!(token(&manager.replace(&rejected).await.unwrap()), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn a_rejection_during_a_refresh_shares_it() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 60)), &authority, &clock);
    let soon = tokio::spawn({
        let manager = manager.clone();
        async move { manager.bearer().await }
    });
    authority.reached(1).await;
    let rejected = clock.tokens(1, 60).bearer();
    let replaced = tokio::spawn({
        let manager = manager.clone();
        async move { manager.replace(&rejected).await }
    });
    authority.open();
    assert_eq!(token(&replaced.await.unwrap().unwrap()), "access-2");
    assert_eq!(token(&soon.await.unwrap().unwrap()), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_rejects_everything_causes_few_refreshes() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, HOUR)), &authority, &clock);
    let mut bearer = manager.bearer().await.unwrap();
    for _ in 0..4 {
        bearer = manager.replace(&bearer).await.unwrap();
    }
    let error = manager.replace(&bearer).await.unwrap_err();
    assert!(matches!(error, AuthError::Temporary { .. }), "{error}");
    assert_eq!(authority.requests(), 4);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(token(&manager.replace(&bearer).await.unwrap()), "access-6");
}

#[tokio::test]
async fn the_token_is_renewed_before_it_ends() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 301)), &authority, &clock);
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
    clock.advance(1);
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
}

#[tokio::test(start_paused = true)]
async fn a_slow_auth_server_delays_no_caller_while_the_token_is_valid() {
    let (clock, authority) = (TestClock::new(), Authority::gated());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 60)), &authority, &clock);
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
    authority.open();
    manager.wait_for_refresh().await;
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
    assert_eq!(authority.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_auth_server_delays_only_the_first_callers() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::Hang);
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 60)), &authority, &clock);
    // The paused clock moves only while every task waits.
    let began = Instant::now();
    for _ in 0..3 {
        assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
        assert_eq!(began.elapsed().as_secs(), 5);
    }
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn the_end_in_the_access_token_counts() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let ending = |seconds: u64| {
        let end = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + seconds;
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{end}}}"#)));
        let mut tokens = clock.tokens(1, 0);
        tokens.access_token = Secret::new(jwt);
        tokens.expires_at = None;
        tokens
    };
    let store = MemoryStore::with_tokens(ending(HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    assert!(manager.bearer().await.is_ok());
    assert_eq!(authority.requests(), 0);
    store.set_tokens(Some(ending(60)));
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
}

#[tokio::test]
async fn members_that_the_response_leaves_out_keep_their_value() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::KeepRefreshToken);
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    assert_eq!(token(&manager(store.clone(), &authority, &clock).bearer().await.unwrap()), "access-2");
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-1");
}

#[tokio::test]
async fn a_new_refresh_token_is_stored_even_without_an_access_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::NoAccessToken);
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let error = manager(store.clone(), &authority, &clock).bearer().await.unwrap_err();
    assert!(matches!(error, AuthError::Temporary { .. }), "{error}");
    assert_eq!(store.tokens().unwrap().refresh_token.unwrap().expose(), "refresh-2");
}

#[tokio::test(start_paused = true)]
async fn responses_without_an_access_token_back_off() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    for pause in [5, 10, 20] {
        authority.next(Whim::NoAccessToken);
        let error = manager.bearer().await.unwrap_err();
        let AuthError::Temporary { retry_after, .. } = error else { panic!("{error}") };
        assert_eq!(retry_after, Duration::from_secs(pause));
        tokio::time::advance(retry_after).await;
    }
    // Each refresh token that arrived was stored, and the last one works.
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-5");
    authority.assert_no_token_was_sent_twice();
}

#[tokio::test]
async fn a_permanent_failure_is_remembered_until_the_store_changes() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::Fail(reused()));
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    let ended = expired(LoginReason::Refused(GrantRefusal::Reused));
    for _ in 0..5 {
        assert_eq!(manager.bearer().await.unwrap_err(), ended);
    }
    assert_eq!(authority.requests(), 1);
    let status = manager.status().await;
    assert_eq!(status.state, LoginState::Expired(LoginReason::Refused(GrantRefusal::Reused)));
    assert!(status.problem.is_some());
    // The same refresh token, written again, is not tried again.
    store.set_tokens(Some(clock.tokens(1, 0)));
    assert_eq!(manager.bearer().await.unwrap_err(), ended);
    assert_eq!(authority.requests(), 1);
    store.set_tokens(Some(clock.tokens(7, HOUR)));
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-7");
}

#[tokio::test]
async fn a_grant_that_works_for_another_process_is_tried_again() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::Fail(reused()));
    let store = MemoryStore::with_tokens(clock.tokens(1, 0));
    let manager = manager(store.clone(), &authority, &clock);
    assert!(manager.bearer().await.is_err());
    // The other process got an access token for the same refresh token; it has expired since.
    let mut proof = clock.tokens(1, 0);
    proof.access_token = Secret::new("proof");
    store.set_tokens(Some(proof));
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
    assert_eq!(authority.seen(), ["refresh-1", "refresh-1"]);
}

#[tokio::test]
async fn a_permanent_failure_does_not_prevent_the_use_of_a_valid_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::Fail(reused()));
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 60)), &authority, &clock);
    for _ in 0..3 {
        assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
    }
    assert_eq!(authority.requests(), 1);
    clock.advance(60);
    assert!(matches!(manager.bearer().await.unwrap_err(), AuthError::LoginExpired { .. }));
    assert_eq!(authority.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn temporary_failures_back_off_and_the_valid_token_is_served() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 120)), &authority, &clock);
    for _ in 0..4 {
        authority.next(Whim::Fail(unavailable()));
    }
    for pause in [5, 10, 20] {
        let before = authority.requests();
        for _ in 0..3 {
            assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
        }
        assert_eq!(authority.requests(), before + 1);
        tokio::time::advance(Duration::from_secs(pause)).await;
    }
    clock.advance(120);
    let error = manager.bearer().await.unwrap_err();
    let AuthError::Temporary { retry_after, reason } = error else { panic!("{error}") };
    assert_eq!((retry_after, reason.as_str()), (Duration::from_secs(40), "status 500"));
    assert_eq!(authority.requests(), 4);
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(token(&manager.bearer().await.unwrap()), "access-2");
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_is_not_followed_by_a_retry() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::LoseReply);
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 120)), &authority, &clock);
    for _ in 0..3 {
        assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
        tokio::time::advance(Duration::from_secs(600)).await;
    }
    assert_eq!(authority.requests(), 1);
    // With nothing to lose the token is tried again, and the answer shows that it was used.
    clock.advance(120);
    let error = manager.bearer().await.unwrap_err();
    assert_eq!(error, expired(LoginReason::ResponseLost(GrantRefusal::Reused)));
    assert_eq!(authority.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_client_counts_as_a_lost_response() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    authority.next(Whim::Panic);
    let manager = manager(MemoryStore::with_tokens(clock.tokens(1, 120)), &authority, &clock);
    for _ in 0..3 {
        assert_eq!(token(&manager.bearer().await.unwrap()), "access-1");
        tokio::time::advance(Duration::from_secs(600)).await;
    }
    assert_eq!(authority.requests(), 1);
}

#[tokio::test]
async fn without_a_refresh_token_the_login_ends_with_the_access_token() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let mut tokens = clock.tokens(1, 60);
    tokens.refresh_token = None;
    let manager = manager(MemoryStore::with_tokens(tokens), &authority, &clock);
    let bearer = manager.bearer().await.unwrap();
    assert_eq!(manager.replace(&bearer).await.unwrap_err(), expired(LoginReason::NoRefreshToken));
    clock.advance(60);
    assert_eq!(manager.bearer().await.unwrap_err(), expired(LoginReason::NoRefreshToken));
    assert_eq!(authority.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_proxy_keeps_its_login() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    let background = tokio::spawn(async move { manager.keep_fresh().await });
    for _ in 0..5 {
        let before = authority.requests();
        clock.advance(HOUR - 60);
        authority.reached_with_time(before + 1).await;
    }
    background.abort();
    authority.assert_no_token_was_sent_twice();
}

#[tokio::test]
async fn a_logout_by_another_process_is_noticed() {
    let (clock, authority) = (TestClock::new(), Authority::new());
    let store = MemoryStore::with_tokens(clock.tokens(1, HOUR));
    let manager = manager(store.clone(), &authority, &clock);
    assert!(manager.bearer().await.is_ok());
    store.set_tokens(None);
    assert!(matches!(manager.bearer().await.unwrap_err(), AuthError::NotLoggedIn { .. }));
}
