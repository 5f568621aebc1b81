//! Calls of the backend without a stream: images. Login, route and retries are those of a turn.

use bytes::Bytes;
use codex_translate::{Error, Usage};
use codex_upstream::{Backend, UpstreamError, read_to_end};
use http::Request;
use serde_json::Value;

use crate::attempts::Attempts;
use crate::error;
use crate::send::{send, with_bearer};
use crate::state::ClientState;

/// The maximum size of a reply. An image has about 2 MiB.
const MAX_REPLY_BYTES: usize = 128 * 1024 * 1024;

/// Sends the request that `build` makes for the login, and reads its reply to the end.
///
/// # Errors
/// There is no usable login, the backend refused the request, or the reply was cut off.
pub(crate) async fn send_unary(
    client: &ClientState,
    build: impl Fn(&Backend<'_>) -> Result<Request<Bytes>, UpstreamError> + Sync,
) -> Result<Bytes, Error> {
    let (build, upstream) = (&build, &Attempts::new(client.upstream.clone(), &client.observer));
    with_bearer(client, |bearer| async move {
        let route = client.route(&bearer).await?;
        let request = build(&client.backend(&bearer, &route))?;
        let reply = send(client, upstream, &request, &client.retry).await;
        let reply = reply.map_err(|error| error::of_last_try(error, &client.tokens.login_command()))?;
        Ok(read_to_end(reply.into_body(), MAX_REPLY_BYTES).await?)
    })
    .await
}

/// Returns the tokens of a `usage` object.
pub(crate) fn usage(wire: Option<&Value>) -> Option<Usage> {
    let count = |at: &str| wire?.pointer(at)?.as_u64();
    let (input_tokens, output_tokens) = (count("/input_tokens")?, count("/output_tokens")?);
    Some(Usage {
        input_tokens,
        output_tokens,
        cached_tokens: count("/input_tokens_details/cached_tokens").unwrap_or(0),
        cache_write_tokens: count("/input_tokens_details/cache_write_tokens"),
        reasoning_tokens: count("/output_tokens_details/reasoning_tokens").unwrap_or(0),
        total_tokens: count("/total_tokens").unwrap_or_else(|| input_tokens.saturating_add(output_tokens)),
        estimated: false,
    })
}
