//! Several proxies with one home directory never spend a refresh token twice, and lose no request.

use std::time::SystemTime;

use codex_auth::BlockingStore;
use codex_sim::Mint;
use futures_util::future::join_all;

use crate::process::{Home, Serving};
use crate::support::ask;

const PROCESSES: usize = 8;
const ROUNDS: u64 = 60;

/// A process refreshes at most four tokens per minute that the backend rejects.
const REJECTED_ROUNDS: u64 = 4;

/// Makes the stored access token look expired.
fn expire(home: &Home) {
    let store = home.store();
    let lock = loop {
        if let Some(lock) = store.try_lock().unwrap() {
            break lock;
        }
        std::thread::yield_now();
    };
    let mut tokens = store.load().unwrap().unwrap();
    tokens.expires_at = Some(SystemTime::UNIX_EPOCH);
    store.save(&lock, &tokens).unwrap();
}

/// Sends a request to each process at the same time.
async fn ask_all(proxies: &[Serving]) {
    let body = ask("hi");
    for (status, text) in join_all(proxies.iter().map(|proxy| proxy.post(None, &body))).await {
        assert_eq!(status, 200, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_processes_with_one_home_spend_each_refresh_token_once() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let proxies = join_all((0..PROCESSES).map(|_| home.serve(&[]))).await;
    let control = home.sim.control();
    for round in 1..=ROUNDS {
        expire(&home);
        ask_all(&proxies).await;
        assert_eq!(control.refreshes(), round, "one refresh serves all processes");
    }
    for round in 1..=REJECTED_ROUNDS {
        control.invalidate_access_tokens();
        ask_all(&proxies).await;
        assert_eq!(control.refreshes(), ROUNDS + round);
    }
    let uses = control.refresh_uses();
    assert_eq!(uses.len() as u64, ROUNDS + REJECTED_ROUNDS);
    assert!(uses.iter().all(|used| used.uses == 1), "a refresh token was sent twice");
    let stored = home.store().load().unwrap().unwrap().refresh_token.unwrap();
    assert!(uses.iter().all(|used| used.refresh_token != stored.expose()), "the newest token is in the store, unspent");
}
