//! `POST /v1/chat/completions`.

use std::sync::Arc;

use codex_auth::TokenStore;
use codex_translate::{ChatPipe, Error, chat, to_completion, to_responses};
use codex_upstream::Upstream;
use http::{Response, StatusCode};

use crate::app::{App, Call};
use crate::ids;
use crate::record::Record;
use crate::relay::{self, Relay};
use crate::reply::{self, Body};
use crate::turn::Turn;

/// Answers a chat request, in a stream or whole, as it asks.
///
/// # Errors
/// The request is wrong, or the turn failed before its first output.
pub(crate) async fn chat<U: Upstream, S: TokenStore>(
    app: &Arc<App<U, S>>,
    call: &Call,
    body: &[u8],
) -> Result<Response<Body>, Error> {
    let request = chat::Request::from_json(body)?;
    let profile = app.profile(request.model());
    let translated = to_responses(request, &profile, &call.options)?;
    let plan = translated.plan;
    let record = Record::new(call.request_id.clone(), "chat", &plan.model, &translated.notices);
    let identity = ids::completion();
    let opening = Turn::new(app, call, translated.request).open();
    let mut response = if plan.stream {
        let pipe = ChatPipe::new(plan, identity);
        reply::event_stream(Relay::hold(opening, pipe, record).await?)
    } else {
        let response = relay::collect(opening, record).await?;
        reply::json(StatusCode::OK, &to_completion(&response, &plan, &identity)?)
    };
    reply::add_notices(response.headers_mut(), &translated.notices);
    Ok(response)
}
