//! A stored response, given again.

use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{ObjectEdit, Text, list, members, present, word};
use crate::outcome::ReplyId;
use crate::plan::ReplyPlan;
use crate::reply::sink::EventSink;
use crate::responses::{ENCRYPTED, RawEvent};

/// A response in its stored form.
///
/// # Example
/// ```
/// use codex_translate::{EventBuffer, StoredReply};
///
/// let json = r#"{"id":"resp_1","status":"completed","model":"m","output":[
///     {"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"x"}]}"#;
/// let reply = StoredReply::new(json);
/// assert!(!reply.to_json(false)?.contains("encrypted_content"));
/// let mut events = EventBuffer::default();
/// reply.write_events(false, &mut events)?;
/// let kinds: Vec<_> = events.iter().map(|event| event.kind().into_owned()).collect();
/// assert_eq!(kinds[..2], ["response.created", "response.in_progress"]);
/// assert_eq!(kinds.last().unwrap(), "response.completed");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StoredReply<'a> {
    json: &'a str,
}

impl<'a> StoredReply<'a> {
    /// Wraps the JSON of a response.
    pub fn new(json: &'a str) -> Self {
        Self { json }
    }

    /// Returns the response as JSON, with or without the encrypted reasoning.
    ///
    /// # Errors
    /// It is not a response.
    pub fn to_json(&self, encrypted_reasoning: bool) -> Result<String, Error> {
        let [output] = members(self.json, ["output"])?;
        if encrypted_reasoning || present(output).is_none() {
            return Ok(self.json.to_owned());
        }
        let items = list(output)?.into_iter().map(|item| without_encrypted_reasoning(item.get()));
        let items = items.collect::<Result<Vec<_>, _>>()?;
        let mut edit = ObjectEdit::new(self.json);
        edit.set("output", output, format!("[{}]", items.join(",")));
        Ok(edit.text())
    }

    /// Writes the response as a stream that has each text in one delta, numbered without gaps and the same each time.
    ///
    /// # Errors
    /// It is not a response.
    pub fn write_events(&self, encrypted_reasoning: bool, sink: &mut impl EventSink) -> Result<(), Error> {
        let [id, created, model, status] = members(self.json, ["id", "created_at", "model", "status"])?;
        let text = |raw| word(raw).unwrap_or_default().into_owned();
        let reply_id = ReplyId { id: text(id), created: created.and_then(|raw| raw.get().parse().ok()).unwrap_or(0) };
        let plan = ReplyPlan { keep_phases: true, encrypted_reasoning, ..ReplyPlan::new(text(model)) };
        let mut stream = ResponseStream::new(&plan, &reply_id);
        let begun = stream.template.begun(self.json)?;
        let last =
            if word(status).as_deref() == Some("incomplete") { "response.incomplete" } else { "response.completed" };
        for (kind, response) in [("response.created", &*begun), ("response.in_progress", &*begun), (last, self.json)] {
            let kind = Text::Plain(kind).to_json();
            let event = format!("{{\"type\":{kind},\"sequence_number\":0,\"response\":{response}}}");
            let _flow = stream.push(RawEvent::new(&event), sink)?;
        }
        Ok(())
    }
}

/// Returns an item without the reasoning that only the model can read.
///
/// # Errors
/// It is not an object.
pub fn without_encrypted_reasoning(item: &str) -> Result<String, Error> {
    let [kind, encrypted] = members(item, ["type", ENCRYPTED])?;
    let mut edit = ObjectEdit::new(item);
    if let Some(encrypted) = encrypted.filter(|_| word(kind).as_deref() == Some("reasoning")) {
        edit.remove(ENCRYPTED, encrypted);
    }
    Ok(edit.text())
}
