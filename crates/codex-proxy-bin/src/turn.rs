//! One turn at the backend: bearer, request, and one more try after a 401.

use std::sync::Arc;

use codex_auth::{Bearer, TokenStore};
use codex_translate::{ConversationSeed, conversation_id, responses};
use codex_upstream::{ByteStream, SendError, SystemClock, Upstream, Verdict, requests, send_with_retry};

use crate::app::{App, Call};
use crate::relay::Opening;
use crate::reply;

/// A translated request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Turn<U: Upstream, S: TokenStore> {
    app: Arc<App<U, S>>,
    model: String,
    tier: Option<String>,
    conversation: String,
    body: Vec<u8>,
}

impl<U: Upstream, S: TokenStore> Turn<U, S> {
    /// Gives the request its conversation id (features.md C16) and its final form.
    pub(crate) fn new(app: &Arc<App<U, S>>, call: &Call, mut request: responses::Request) -> Self {
        let seed = ConversationSeed::new(&call.caller, call.session.as_deref(), &request);
        let conversation = conversation_id(&seed, app.started_unix_ms);
        request.prompt_cache_key = Some(conversation.clone());
        Self {
            app: Arc::clone(app),
            model: request.model.clone(),
            tier: request.service_tier.clone(),
            conversation,
            body: request.to_json(),
        }
    }

    /// The turn as a future that a reply body can own. Nothing is sent before it is polled; dropping it gives the turn up.
    pub(crate) fn open(self) -> Opening {
        Box::pin(async move {
            let bearer = self.app.tokens.bearer().await.map_err(|error| reply::of_auth(&error))?;
            match self.send(&bearer).await {
                // The token may have been revoked before its time: a fresh one gets one try.
                Err(error) if wants_reauth(&error) => {
                    let bearer = self.app.tokens.replace(&bearer).await.map_err(|error| reply::of_auth(&error))?;
                    self.send(&bearer).await
                }
                outcome => outcome,
            }
            .map_err(|error| reply::of_send(&error))
        })
    }

    async fn send(&self, bearer: &Bearer) -> Result<ByteStream, SendError> {
        let turn = requests::Turn {
            model: &self.model,
            tier: self.tier.as_deref(),
            conversation_id: Some(&self.conversation),
            lite: false,
            body: &self.body,
        };
        let request = requests::responses(&self.app.backend(bearer), &turn)?;
        let reply = send_with_retry(&self.app.upstream, &request, &self.app.retry, &SystemClock).await?;
        Ok(reply.into_body())
    }
}

fn wants_reauth(error: &SendError) -> bool {
    matches!(error, SendError::Refused { failure, .. } if failure.verdict() == Verdict::Reauth)
}
