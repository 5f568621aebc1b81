//! A translated request: what was decided about it, and what is sent.

use std::sync::Arc;
use std::time::Duration;

use codex_translate::dialect::AnyRequest;
use codex_translate::images::{self, ImagesRequest};
use codex_translate::responses::ResponsesRequest;
use codex_translate::{
    ConversationSeed, Dialect, Effort, Error, Notice, Options, ReplyPlan, Translated, conversation_id,
};
use codex_upstream::{ModelAliases, TurnRequest};
use tokio::time::Instant;
use uuid::Uuid;

use crate::attempts::Attempts;
use crate::model::NamedModel;
use crate::reply::{FIRST_OUTPUT_WAIT, Reply};
use crate::reply_events::{LateNotice, PendingReply};
use crate::send::send_readable_turn;
use crate::state::ClientState;

/// The longest hold: more than any turn takes, and within the range of the clock.
const MAX_HOLD: Duration = Duration::from_secs(24 * 60 * 60);

/// How much longer the final form of a small request is than its original form.
const SPARE_BYTES: usize = 512;

/// The caller of a turn, as far as its conversation id depends on it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The caller, as a hash or any other text: conversations of different callers never share an id, except as
    /// `keeps_uuids` says.
    pub id: String,
    /// The caller's name for the conversation, if it sends one.
    pub session: Option<String>,
    /// Whether a UUID that the caller sends as its name for the conversation, or as `prompt_cache_key`, becomes the id
    /// unchanged, as the Codex CLI expects. Callers that send the same one then share a conversation.
    pub keeps_uuids: bool,
}

/// What a turn depends on in addition to its request.
#[derive(Clone, Copy, Debug)]
pub struct TurnContext<'a> {
    /// The caller; `None` if there is only one.
    pub caller: Option<&'a Caller>,
    /// How the request is translated.
    pub options: &'a Options,
    /// The names for models, in addition to those of the catalogue.
    pub aliases: &'a ModelAliases,
}

/// A translated request, which has not been sent.
#[derive(Debug)]
pub struct Turn {
    client: Arc<ClientState>,
    dialect: &'static Dialect,
    /// What the translation has decided about the request.
    pub info: TurnInfo,
    /// What the translation has decided about the reply.
    pub plan: ReplyPlan,
    /// How long the first events of the reply are held back, by default [`FIRST_OUTPUT_WAIT`]: so long, a failure
    /// before the first output is an error and not an event, and an overload leads to a retry.
    pub hold: Duration,
    request: Arc<TurnRequest>,
}

/// What the translation has decided about a request.
#[derive(Clone, Debug)]
pub struct TurnInfo {
    /// The slug of the model that is sent.
    pub model: String,
    /// Whether the account's catalogue has that model.
    pub is_known_model: bool,
    /// The reasoning effort that is sent, if any.
    pub effort: Option<Effort>,
    /// What could not be forwarded unchanged.
    pub notices: Vec<Notice>,
}

impl TurnContext<'_> {
    /// Finds the model that a request calls `name`, without any request.
    pub(crate) fn model(&self, client: &ClientState, name: &str) -> NamedModel {
        NamedModel::new(name, &client.models.use_cached(&client.timer), self.aliases, self.options)
    }

    /// Returns the conversation's id: the client's own if it is a UUID, as the Codex CLI's is, and need not differ from
    /// that of another caller; else one derived from the caller and the client's name for the conversation, or its
    /// beginning. Prompt caching requires a UUID (docs/backend.md §2.6).
    pub(crate) fn conversation(&self, client: &ClientState, request: &ResponsesRequest) -> String {
        let session = self.caller.and_then(|caller| caller.session.as_deref());
        let keeps_uuids = self.caller.is_none_or(|caller| caller.keeps_uuids);
        let own = session.or(request.prompt_cache_key.as_deref()).filter(|_| keeps_uuids);
        match own.and_then(|own| Uuid::try_parse(own).ok()) {
            Some(uuid) => uuid.hyphenated().to_string(),
            None => {
                let caller = self.caller.map_or("", |caller| caller.id.as_str());
                let seed = ConversationSeed::new(caller, session, request);
                conversation_id(&seed, client.started_unix_ms)
            }
        }
    }
}

impl Turn {
    /// Translates a request, adds the conversation id (docs/features.md C16) and serializes it.
    pub(crate) fn new(
        client: &Arc<ClientState>,
        request: AnyRequest,
        context: &TurnContext<'_>,
    ) -> Result<Self, Error> {
        let (dialect, bytes) = (request.dialect(), request.body_bytes());
        let model = context.model(client, request.model());
        let translated = request.translate(&model.profile, &model.options)?;
        Ok(Self::of_translated(client, dialect, model, translated, bytes, context))
    }

    /// Does the rest for a request that is translated for `model`, from a body of `bytes`.
    pub(crate) fn of_translated(
        client: &Arc<ClientState>,
        dialect: &'static Dialect,
        model: NamedModel,
        translated: Translated,
        bytes: usize,
        context: &TurnContext<'_>,
    ) -> Self {
        let Translated { mut request, plan, notices } = translated;
        request.prompt_cache_key = Some(context.conversation(client, &request));
        let info = TurnInfo::new(model, &request, notices);
        let request = Arc::new(TurnRequest::with_capacity(&request, bytes + bytes / 8 + SPARE_BYTES));
        Self { client: Arc::clone(client), dialect, info, plan, hold: FIRST_OUTPUT_WAIT, request }
    }

    /// Returns the dialect of the request, which is also that of its reply.
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Sends the request, once for each choice that it wants (docs/features.md C9), and waits until a reply begins, at
    /// most for [`Turn::hold`].
    ///
    /// Dropping the future or the reply ends the turns at the backend.
    ///
    /// # Errors
    /// There is no usable login, or a turn failed before its first output.
    pub async fn send(self) -> Result<Reply, Error> {
        self.start().begun().await
    }

    /// Returns the reply at once; nothing is sent before it is read. For connections that need not wait until a reply
    /// begins, because an error has a form of its own there: read it with [`Relay::try_poll_part`].
    ///
    /// [`Relay::try_poll_part`]: crate::Relay::try_poll_part
    pub fn start(self) -> Reply {
        let (started, hold) = (Instant::now(), self.hold.min(MAX_HOLD));
        let deadline = started + hold;
        // The backend makes one choice per turn.
        let choices = 0..self.plan.n.max(1);
        let late = LateNotice::default();
        let plan = |choice| ReplyPlan { choice, ..self.plan.clone() };
        let turns = choices.map(|choice| (self.open(deadline, late.clone()), plan(choice))).collect();
        let notices = self.info.notices;
        let now = self.client.timer.now();
        Reply::new(self.plan, turns, self.dialect, now, notices, started, hold).with_late_notice(late)
    }

    /// Returns one turn as a future that a reply can own. Nothing is sent before it is polled; dropping it cancels the
    /// turn.
    fn open(&self, deadline: Instant, late: LateNotice) -> PendingReply {
        let (client, request, paths) = (Arc::clone(&self.client), Arc::clone(&self.request), self.plan.paths.clone());
        Box::pin(async move {
            let upstream = Attempts::new(client.upstream.clone(), &client.observer);
            send_readable_turn(&client, &upstream, request, deadline, &late, &paths).await
        })
    }
}

impl TurnInfo {
    /// Returns the same of a request for images, which all use one model.
    pub fn of_images(request: &ImagesRequest) -> Self {
        Self { model: images::MODEL.to_owned(), is_known_model: true, effort: None, notices: request.notices.clone() }
    }

    pub(crate) fn new(model: NamedModel, request: &ResponsesRequest, notices: Vec<Notice>) -> Self {
        Self {
            model: model.profile.slug.clone(),
            is_known_model: model.is_known,
            effort: request.reasoning.effort.clone(),
            notices: model.noticed(notices),
        }
    }
}
