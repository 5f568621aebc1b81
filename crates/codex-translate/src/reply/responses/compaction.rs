//! The reply to a request that compacts a conversation.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::pipe::ResponsesFold;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Finish, Flow, ReplyId, Summary};
use crate::plan::ReplyPlan;
use crate::reply::pipe::Fold;
use crate::responses::RawEvent;

/// The type of the item that replaces a conversation, and its older name (docs/backend.md §2.8).
const COMPACTIONS: [&str; 2] = ["compaction", "compaction_summary"];

/// A compacted conversation, which serialises as the public API's `response.compaction`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CompactionReply {
    /// The response's id.
    pub id: String,
    /// Unix seconds.
    pub created_at: u64,
    /// The items that replace the conversation, including one of the type `compaction`: the beginning of the next
    /// turn's input.
    pub output: Vec<Value>,
    /// The tokens used, as the backend reports them.
    pub usage: Option<Value>,
}

/// Reads the reply to a request from [`compact`](crate::compact()): a turn whose output contains a compaction.
///
/// # Example
/// ```
/// use codex_translate::{Chunk, CompactionFold, EventReader, Fold, ReplyId, ReplyPlan};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_item.done","output_index":0,"item":{"type":"compaction","id":"cmp_1","#,
/// #     r#""encrypted_content":"gAAAA"}}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
/// let mut fold = CompactionFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _done = fold.feed(&mut EventReader::new(), &Chunk::Bytes(events))?;
/// let reply = fold.end()?;
/// assert_eq!((&*reply.id, reply.created_at), ("resp_1", 1_750_000_000));
/// assert_eq!(reply.output[0]["type"], "compaction");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Debug)]
pub struct CompactionFold {
    fold: ResponsesFold,
    created: u64,
}

impl CompactionFold {
    /// Starts the reply that `plan` describes; `reply_id` is used where the backend gives neither id nor time.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self { fold: ResponsesFold::new(plan, reply_id), created: reply_id.created }
    }
}

impl Fold for CompactionFold {
    type Whole = CompactionReply;

    fn push(&mut self, event: RawEvent<'_>) -> Result<Flow, Error> {
        self.fold.push(event)
    }

    fn fail(&mut self, error: Error) {
        self.fold.fail(error);
    }

    /// Returns how the turn ended. One that ended early has no usable compaction.
    fn finish(&mut self) -> Result<Summary, Error> {
        let summary = self.fold.finish()?;
        match summary.finish {
            Finish::Length => Err(Error::new(ErrorKind::Truncated, "the backend ended the compaction early")),
            Finish::ContentFilter => {
                Err(Error::new(ErrorKind::PolicyRefused, "the backend's content filter ended the compaction"))
            }
            Finish::Stop | Finish::ToolCalls | Finish::FunctionCall => Ok(summary),
        }
    }

    fn end(mut self) -> Result<CompactionReply, Error> {
        self.finish()?;
        let response = self.fold.end()?;
        let mut response: Value =
            serde_json::from_str(response.json()).map_err(|error| Error::protocol(error.to_string()))?;
        let (Some(id), Value::Array(output)) = (response["id"].as_str().map(str::to_owned), response["output"].take())
        else {
            return Err(Error::protocol("the response has no id or no output"));
        };
        if !output.iter().any(is_compaction) {
            return Err(Error::protocol("the reply contains no compaction"));
        }
        let usage = Some(response["usage"].take()).filter(Value::is_object);
        Ok(CompactionReply { id, created_at: response["created_at"].as_u64().unwrap_or(self.created), output, usage })
    }
}

impl Serialize for CompactionReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, created_at, output, usage } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("object", "response.compaction")?;
        map.serialize_entry("created_at", created_at)?;
        map.serialize_entry("output", output)?;
        usage.iter().try_for_each(|usage| map.serialize_entry("usage", usage))?;
        map.end()
    }
}

/// Returns whether an item is a compaction that the next turn can use.
fn is_compaction(item: &Value) -> bool {
    item["type"].as_str().is_some_and(|kind| COMPACTIONS.contains(&kind)) && item["encrypted_content"].is_string()
}
