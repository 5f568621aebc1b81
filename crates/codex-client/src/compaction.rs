//! Compactions: a conversation is replaced with fewer items.

use std::sync::Arc;

use codex_translate::responses::ResponsesRequest;
use codex_translate::{Error, Notice, Usage, dialect};
use codex_upstream::{CompactionReply, TurnRequest, requests};

use crate::ids;
use crate::state::ClientState;
use crate::turn::{TurnContext, TurnInfo};
use crate::unary::{send_unary, usage};

/// A translated request to compact a conversation, which has not been sent.
#[derive(Debug)]
pub struct CompactionTurn {
    client: Arc<ClientState>,
    /// What the translation has decided.
    pub info: TurnInfo,
    request: TurnRequest,
}

/// A compacted conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compaction {
    /// The reply, which serialises in the form of the public API.
    pub reply: CompactionReply,
    /// What could not be forwarded unchanged.
    pub notices: Vec<Notice>,
    /// The tokens used.
    pub usage: Option<Usage>,
}

impl CompactionTurn {
    pub(crate) fn new(
        client: &Arc<ClientState>,
        request: ResponsesRequest,
        context: &TurnContext<'_>,
    ) -> Result<Self, Error> {
        let model = context.model(client, &request.model);
        let translated = codex_translate::compact(request, &model.profile, &model.options)?;
        let mut request = translated.request;
        request.prompt_cache_key = Some(context.conversation(client, &request));
        let info = TurnInfo::new(model, &request, translated.notices);
        Ok(Self { client: Arc::clone(client), info, request: TurnRequest::compaction(&request) })
    }

    /// Sends the request, and reads its reply.
    ///
    /// # Errors
    /// As [`Client::chat`](crate::Client::chat).
    pub async fn send(self) -> Result<Compaction, Error> {
        let client = &*self.client;
        let reply = send_unary(client, |backend| requests::compaction(backend, &self.request)).await?;
        let mut reply = CompactionReply::parse(&reply)?;
        // The members of the public API that older replies of the backend lack.
        let identity = ids::reply_id(&dialect::RESPONSES, client.timer.now());
        reply.id.get_or_insert(identity.id);
        reply.object.get_or_insert_with(|| "response.compaction".to_owned());
        reply.created_at.get_or_insert_with(|| identity.created.into());
        let usage = usage(reply.usage.as_ref());
        Ok(Compaction { reply, notices: self.info.notices, usage })
    }
}
