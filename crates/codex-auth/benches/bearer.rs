//! The cost of the login for each request, compared with reading the file each time: only the ratio counts.
//!
//! ```text
//! cargo bench -p codex-auth
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use codex_auth::{
    AnyStore, BlockingStore as _, EndpointError, FileStore, RefreshReason, Secret, TokenEndpoint, TokenManager,
    TokenResponse,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// An auth server that is never contacted: the token is valid for decades.
struct Unused;

impl TokenEndpoint for Unused {
    async fn refresh(&self, _: &Secret, _: RefreshReason) -> Result<TokenResponse, EndpointError> {
        panic!("a fresh token is not renewed");
    }
}

fn bearer(c: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("credentials.json");
    let login = r#"{"access_token":"header.payload.signature","refresh_token":"r","expires_at":4102444800}"#;
    std::fs::write(&path, login).unwrap();
    let store = FileStore::new(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = c.benchmark_group("a bearer");
    let manager = TokenManager::new(store.clone(), Unused);
    group.bench_function("manager", |b| b.iter(|| runtime.block_on(manager.bearer()).unwrap()));
    let manager = TokenManager::new(AnyStore::new(store.clone()), Unused);
    group.bench_function("manager over AnyStore", |b| {
        b.iter(|| runtime.block_on(manager.bearer()).unwrap());
    });
    group.bench_function("reading the file", |b| b.iter(|| store.load().unwrap().unwrap().bearer()));
    group.finish();
}

criterion_group!(benches, bearer);
criterion_main!(benches);
