//! An upstream whose kind is chosen at run time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

use crate::error::UpstreamError;
use crate::upstream::{ChunkStream, Upgrade, Upstream};

type Sending<'a, T> = Pin<Box<dyn Future<Output = Result<T, UpstreamError>> + Send + 'a>>;

/// An upstream whose kind is chosen at run time. Clones are the same upstream.
///
/// Code that is generic over its upstream is compiled once for this type, and types that hold one need no parameter.
/// Each request costs one more allocation, and the pieces of its reply none.
///
/// ```
/// use codex_upstream::{AnyUpstream, ScriptedUpstream};
///
/// let upstream = AnyUpstream::new(ScriptedUpstream::new().reply(200, "data: {}\n\n")); // or an `HttpUpstream`
/// # drop(upstream);
/// ```
#[derive(Clone)]
pub struct AnyUpstream(Arc<dyn DynUpstream>);

impl AnyUpstream {
    /// Wraps an upstream of any kind.
    pub fn new<U: Upstream>(upstream: U) -> Self {
        Self(Arc::new(upstream))
    }
}

impl fmt::Debug for AnyUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyUpstream").finish_non_exhaustive()
    }
}

impl Upstream for AnyUpstream {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<ChunkStream>, UpstreamError>> + Send {
        DynUpstream::send(&*self.0, request)
    }

    fn connect(&self, request: Request<()>) -> impl Future<Output = Result<Upgrade, UpstreamError>> + Send {
        DynUpstream::connect(&*self.0, request)
    }

    fn forget_cookies(&self) {
        DynUpstream::forget_cookies(&*self.0);
    }
}

/// [`Upstream`] with futures of one type.
trait DynUpstream: Send + Sync {
    fn send(&self, request: Request<Bytes>) -> Sending<'_, Response<ChunkStream>>;
    fn connect(&self, request: Request<()>) -> Sending<'_, Upgrade>;
    fn forget_cookies(&self);
}

impl<U: Upstream> DynUpstream for U {
    fn send(&self, request: Request<Bytes>) -> Sending<'_, Response<ChunkStream>> {
        Box::pin(Upstream::send(self, request))
    }

    fn connect(&self, request: Request<()>) -> Sending<'_, Upgrade> {
        Box::pin(Upstream::connect(self, request))
    }

    fn forget_cookies(&self) {
        Upstream::forget_cookies(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::read_to_end;
    use crate::{ScriptedSocket, ScriptedUpstream};

    #[tokio::test]
    async fn any_upstream_behaves_as_the_one_in_it() {
        let scripted = Arc::new(ScriptedUpstream::new().reply(200, "hello").socket(ScriptedSocket::new()));
        let upstream = AnyUpstream::new(Arc::clone(&scripted));
        let reply = Upstream::send(&upstream, Request::new(Bytes::from_static(b"?"))).await.unwrap();
        assert_eq!(read_to_end(reply.into_body(), 16).await.unwrap(), "hello");
        let upgrade = Upstream::connect(&upstream, Request::new(())).await.unwrap();
        assert!(matches!(upgrade, Upgrade::Opened { .. }));
        assert_eq!(scripted.requests().len(), 1);
    }
}
