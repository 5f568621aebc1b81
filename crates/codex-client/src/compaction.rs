//! Compactions: a conversation is replaced with fewer items, by a turn whose input ends with a trigger.

use std::sync::Arc;

use codex_translate::responses::ResponsesRequest;
use codex_translate::{CompactionFold, CompactionReply, Error, Notice, Usage, dialect};

use crate::observer::ReplyObserver;
use crate::reply::no_choices;
use crate::state::ClientState;
use crate::turn::{Turn, TurnContext, TurnInfo};
use crate::unary::usage;

/// A translated request to compact a conversation, which has not been sent.
#[derive(Debug)]
pub struct CompactionTurn {
    turn: Turn,
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
        Ok(Self { turn: Turn::of_translated(client, &dialect::RESPONSES, model, translated, 0, context) })
    }

    /// Returns what the translation has decided.
    pub fn info(&self) -> &TurnInfo {
        &self.turn.info
    }

    /// Sends the request, and reads its reply.
    ///
    /// # Errors
    /// As [`Client::chat`](crate::Client::chat); also if the reply contains no compaction.
    pub async fn send(self) -> Result<Compaction, Error> {
        self.send_observed(&()).await
    }

    /// Does the same as [`CompactionTurn::send`], and reports the reply to `observer`.
    ///
    /// # Errors
    /// As [`CompactionTurn::send`].
    pub async fn send_observed(self, observer: &impl ReplyObserver) -> Result<Compaction, Error> {
        let reply = self.turn.send().await?;
        let notices = reply.notices().to_vec();
        let replies = reply.fold(observer, CompactionFold::new).await?;
        let reply = replies.into_iter().next().ok_or_else(no_choices)?;
        let usage = usage(reply.usage.as_ref());
        Ok(Compaction { reply, notices, usage })
    }
}
