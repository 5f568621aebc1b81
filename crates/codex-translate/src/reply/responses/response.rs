//! The response object: upstream's, with members that this crate knows better.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::chat::ToolCall;
use crate::error::Error;
use crate::json::{ObjectEdit, Text, every_member, list, members, members_of, present, word};
use crate::outcome::{Finish, ReplyId, Summary};
use crate::plan::{Echo, ReplyPlan};
use crate::responses::{ItemBody, MessagePhase, OutputItem, OutputPart};
use crate::tool_names::ToolNames;
use crate::usage::{ResponsesUsage, Usage};

/// The members that openai-python's model of a response requires, besides `model`.
const REQUIRED: [&str; 8] =
    ["id", "object", "created_at", "status", "output", "parallel_tool_calls", TOOL_CHOICE, TOOLS];

/// The members that these models require although they can be null, besides those that repeat the request.
const NULLABLE: [&str; 3] = ["error", "incomplete_details", "usage"];

const TOOLS: &str = "tools";
const TOOL_CHOICE: &str = "tool_choice";
const STORE: &str = "store";

/// A whole response, which serialises as its JSON.
///
/// # Example
/// ```
/// use codex_translate::{Chunk, EventReader, Finish, Fold, ReplyId, ReplyPlan, ResponsesFold};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":7,"#,
/// #     r#""output_tokens":2,"total_tokens":9}}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "resp_1".to_owned(), created: 1_750_000_000 };
/// let mut fold = ResponsesFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _flow = fold.feed(&mut EventReader::new(), &Chunk::Bytes(events))?;
/// let response = fold.end()?;
/// assert_eq!((response.text(), response.finish()), ("Hey!".to_owned(), Finish::Stop));
/// assert_eq!((response.tool_calls(), response.usage().map(|usage| usage.total_tokens)), (vec![], Some(9)));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    json: Box<RawValue>,
    stored: Option<String>,
    summary: Summary,
}

impl Response {
    /// # Errors
    /// A bug in this crate: the JSON was built from JSON.
    pub(super) fn new(json: String, stored: Option<String>, summary: Summary) -> Result<Self, Error> {
        let json = RawValue::from_string(json).map_err(|error| Error::protocol(error.to_string()))?;
        Ok(Self { json, stored, summary })
    }

    /// Returns the response as JSON text.
    pub fn json(&self) -> &str {
        self.json.get()
    }

    /// Returns the response as JSON text to be stored: with the encrypted reasoning, which the caller may not read.
    pub fn stored_form(&self) -> &str {
        self.stored.as_deref().unwrap_or_else(|| self.json())
    }

    /// Returns the items of the output.
    pub fn output(&self) -> Vec<OutputItem<'_>> {
        // Each of them was read before it was added to the output.
        let items = members_of(&self.json, ["output"]).and_then(|[output]| list(output)).unwrap_or_default();
        items.into_iter().filter_map(|item| OutputItem::read(item).ok()).collect()
    }

    /// Returns the text of the answer, as a chat reply has it: its messages, separated by blank lines, or the
    /// commentary if there is neither an answer nor a refusal nor a call.
    pub fn text(&self) -> String {
        let output = self.output();
        let answer = text_of(&output, MessagePhase::Answer);
        let is_answered = !answer.is_empty() || output.iter().any(is_refusal_or_call);
        if is_answered { answer } else { text_of(&output, MessagePhase::Commentary) }
    }

    /// Returns the model's refusal.
    pub fn refusal(&self) -> Option<String> {
        let mut whole = String::new();
        for item in self.output() {
            let ItemBody::Message { content, .. } = item.body else { continue };
            for part in content {
                if let OutputPart::Refusal(text) = part {
                    text.push_to(&mut whole);
                }
            }
        }
        (!whole.is_empty()).then_some(whole)
    }

    /// Returns the tool calls of the model.
    pub fn tool_calls(&self) -> Vec<ToolCall> {
        let call = |item: OutputItem<'_>| match item.body {
            ItemBody::Call { call_id, name, arguments, .. } => Some(ToolCall {
                id: call_id?.into_owned(),
                name: name?.into_owned(),
                arguments: arguments.map(|text| text.to_string()).unwrap_or_default(),
            }),
            ItemBody::Message { .. }
            | ItemBody::Reasoning { .. }
            | ItemBody::Image { .. }
            | ItemBody::WebSearch { .. }
            | ItemBody::Other(_) => None,
        };
        self.output().into_iter().filter_map(call).collect()
    }

    /// Returns why the reply ended.
    pub fn finish(&self) -> Finish {
        self.summary.finish
    }

    /// Returns the tokens used, if the backend reported them or this crate cut off the reply.
    pub fn usage(&self) -> Option<&Usage> {
        self.summary.usage.as_ref()
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

/// Returns the texts of the messages of a phase, separated by blank lines.
fn text_of(output: &[OutputItem<'_>], wanted: MessagePhase) -> String {
    let texts = output.iter().filter_map(|item| {
        let ItemBody::Message { phase, content } = &item.body else { return None };
        (*phase == wanted).then(|| message_text(content)).filter(|text| !text.is_empty())
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

fn is_refusal_or_call(item: &OutputItem<'_>) -> bool {
    match &item.body {
        ItemBody::Message { content, .. } => {
            content.iter().any(|part| matches!(part, OutputPart::Refusal(text) if !text.is_empty()))
        }
        ItemBody::Call { .. } => true,
        ItemBody::Reasoning { .. } | ItemBody::Image { .. } | ItemBody::WebSearch { .. } | ItemBody::Other(_) => false,
    }
}

fn message_text(content: &[OutputPart<'_>]) -> String {
    let mut whole = String::new();
    for part in content {
        if let OutputPart::Text { text, .. } = part {
            text.push_to(&mut whole);
        }
    }
    whole
}

/// The response object as it was last written.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// The members that upstream does not decide, as JSON.
    own: Vec<(&'static str, String)>,
    /// The largest response that is stored.
    store_bytes: usize,
    /// Whether members that are null are written.
    writes_nulls: bool,
    json: String,
}

impl Template {
    /// Returns a response that upstream has not described yet.
    pub(super) fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        let model = Text::Plain(&plan.model).to_json();
        let json = format!(
            "{{\"id\":{},\"object\":\"response\",\"created_at\":{},\"status\":\"in_progress\",\"error\":null,\
             \"incomplete_details\":null,\"instructions\":null,\"metadata\":{{}},\"model\":{model},\"output\":[],\
             \"parallel_tool_calls\":true,\"temperature\":1.0,\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\
             \"usage\":null}}",
            Text::Plain(&reply_id.id).to_json(),
            reply_id.created
        );
        let mut own = vec![("model", model)];
        if let Some(Echo(echo)) = &plan.echo {
            own.extend(echo.iter().cloned());
        }
        if plan.store || plan.echo.is_some() {
            own.push((STORE, plan.store.to_string()));
        }
        let previous = plan.previous_response_id.as_deref().map(|id| Text::Plain(id).to_json());
        if previous.is_some() || plan.echo.is_some() {
            own.push(("previous_response_id", previous.unwrap_or_else(|| "null".to_owned())));
        }
        let mut template = Self { own, store_bytes: plan.store_bytes, writes_nulls: plan.echo.is_some(), json };
        // It is an object.
        let found = every_member(&template.json).unwrap_or_default();
        let json = template.with_own(&template.json, &found).text();
        template.json = json;
        template
    }

    pub(super) fn json(&self) -> &str {
        &self.json
    }

    pub(super) fn into_json(self) -> String {
        self.json
    }

    /// Updates the response from upstream's, with the caller's names of model and tools.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn read(&mut self, response: Option<&RawValue>, names: &ToolNames) -> Result<(), Error> {
        let Some(response) = present(response) else { return Ok(()) };
        let found = every_member(response.get())?;
        let mut edit = self.with_own(response.get(), &found);
        let is_own = |key: &str| self.own.iter().any(|(own, _)| *own == key);
        // The members that every client reads are there, whatever upstream leaves out.
        let is_missing = |key: &str| !found.iter().any(|(found, raw)| found == key && raw.get() != "null");
        if REQUIRED.into_iter().any(|key| !is_own(key) && is_missing(key)) {
            for (key, before) in REQUIRED.into_iter().zip(members(&self.json, REQUIRED)?) {
                if let Some(before) = before.filter(|_| !is_own(key) && is_missing(key)) {
                    edit.set(key, value_of(&found, key), before.get());
                }
            }
        }
        for key in NULLABLE.into_iter().filter(|key| self.writes_nulls && value_of(&found, key).is_none()) {
            edit.set(key, None, "null");
        }
        if let Some(echo) = present(value_of(&found, TOOLS)).filter(|_| !is_own(TOOLS) && !names.is_unchanged()) {
            edit.set(TOOLS, Some(echo), all_renamed(echo, names)?);
        }
        let choice = present(value_of(&found, TOOL_CHOICE)).filter(|_| !is_own(TOOL_CHOICE) && !names.is_unchanged());
        if let Some(choice) = choice.filter(|choice| choice.get().starts_with('{')) {
            edit.set(TOOL_CHOICE, Some(choice), renamed(choice, names)?);
        }
        let json = edit.text();
        self.json = json;
        Ok(())
    }

    /// Changes a response, whose members were found, to the members that upstream does not decide.
    fn with_own<'a>(&'a self, response: &'a str, found: &[(Cow<'a, str>, &'a RawValue)]) -> ObjectEdit<'a> {
        let mut edit = ObjectEdit::new(response);
        for (key, value) in &self.own {
            let mut is_new = true;
            for (_, raw) in found.iter().filter(|(found, _)| found == key) {
                edit.set(key, Some(raw), &**value);
                is_new = false;
            }
            if is_new {
                edit.set(key, None, &**value);
            }
        }
        edit
    }

    /// Sets whether the response says that it is stored.
    fn set_stored(&mut self, stored: bool) {
        if let Some((_, value)) = self.own.iter_mut().find(|(key, _)| *key == STORE) {
            *value = stored.to_string();
            self.set(&[(STORE, stored.to_string().into())]);
        }
    }

    /// Returns the response with the output `stored` if that is another than its own, which can be `None`. If the whole
    /// is too large to be stored, the response says so.
    pub(super) fn settle(&mut self, stored: Option<&str>) -> Option<String> {
        let stored = stored.map(|output| {
            let mut whole = self.clone();
            whole.set(&[("output", output.into())]);
            whole.json
        });
        if stored.as_deref().unwrap_or(&self.json).len() > self.store_bytes {
            self.set_stored(false);
        }
        stored
    }

    /// Returns the response `whole` as it was at its beginning.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn begun(&self, whole: &str) -> Result<String, Error> {
        members(whole, [])?;
        let mut begun = Self { json: whole.to_owned(), ..self.clone() };
        begun.begin();
        Ok(begun.json)
    }

    /// Resets it to a response at its beginning.
    pub(super) fn begin(&mut self) {
        self.set(&[
            ("status", Cow::Borrowed("\"in_progress\"")),
            ("error", Cow::Borrowed("null")),
            ("incomplete_details", Cow::Borrowed("null")),
            ("output", Cow::Borrowed("[]")),
            ("usage", Cow::Borrowed("null")),
        ]);
    }

    /// Ends the response as upstream has ended it.
    pub(super) fn end(&mut self, status: &str, output: &str) {
        self.set(&[("status", Cow::Owned(Text::Plain(status).to_json())), ("output", Cow::Borrowed(output))]);
    }

    /// Ends the response at the caller's limit.
    pub(super) fn cut(&mut self, status: &str, usage: Option<&Usage>, output: &str) {
        let usage = usage.and_then(|usage| serde_json::to_string(&ResponsesUsage(*usage)).ok());
        let details = if status == "incomplete" { "{\"reason\":\"max_output_tokens\"}" } else { "null" };
        self.set(&[
            ("status", Cow::Owned(Text::Plain(status).to_json())),
            ("incomplete_details", Cow::Borrowed(details)),
            ("usage", usage.map_or(Cow::Borrowed("null"), Cow::Owned)),
            ("output", Cow::Borrowed(output)),
        ]);
    }

    /// Ends the response before its end, for `reason`.
    pub(super) fn interrupt(&mut self, reason: &str, usage: Option<&Usage>, output: &str) {
        let details = format!("{{\"reason\":{}}}", Text::Plain(reason).to_json());
        let usage = usage.and_then(|usage| serde_json::to_string(&ResponsesUsage(*usage)).ok());
        self.set(&[
            ("status", Cow::Borrowed("\"incomplete\"")),
            ("incomplete_details", Cow::Owned(details)),
            ("end_turn", Cow::Borrowed("false")),
            ("usage", usage.map_or(Cow::Borrowed("null"), Cow::Owned)),
            ("output", Cow::Borrowed(output)),
        ]);
    }

    /// Ends the response with a failure.
    pub(super) fn fail(&mut self, error: &Error, output: &str) {
        let code = error.code().unwrap_or("server_error");
        let (code, message) = (Text::Plain(code).to_json(), Text::Plain(error.message()).to_json());
        let details = error.misalignment().map(|details| format!(",\"misalignment\":{details}")).unwrap_or_default();
        let error = format!("{{\"code\":{code},\"message\":{message}{details}}}");
        self.set_stored(false);
        self.set(&[
            ("status", Cow::Borrowed("\"failed\"")),
            ("error", Cow::Owned(error)),
            ("output", Cow::Borrowed(output)),
        ]);
    }

    fn set(&mut self, changes: &[(&str, Cow<'_, str>)]) {
        for (key, value) in changes {
            // It was an object when it was parsed.
            let Ok([found]) = members(&self.json, [key]) else { return };
            let mut edit = ObjectEdit::new(&self.json);
            edit.set(key, found, &**value);
            let json = edit.text();
            self.json = json;
        }
    }
}

fn value_of<'a>(found: &[(Cow<'a, str>, &'a RawValue)], key: &str) -> Option<&'a RawValue> {
    found.iter().rev().find(|(found, _)| found == key).map(|(_, raw)| *raw)
}

/// Returns the echo of the request's tools with the caller's names.
///
/// # Errors
/// It is not a list.
fn all_renamed(tools: &RawValue, names: &ToolNames) -> Result<String, Error> {
    let echo = list(Some(tools))?.into_iter().map(|tool| renamed(tool, names));
    Ok(format!("[{}]", echo.collect::<Result<Vec<_>, _>>()?.join(",")))
}

/// Returns a tool, or the choice of one, with the caller's names: also of those that a namespace or a choice lists.
///
/// # Errors
/// Its tools are not a list.
fn renamed(tool: &RawValue, names: &ToolNames) -> Result<String, Error> {
    // A value that is not an object has no name.
    let [name, tools] = members(tool.get(), ["name", TOOLS]).unwrap_or_default();
    let mut edit = ObjectEdit::new(tool.get());
    if let Some(wire) = word(name) {
        edit.set("name", name, Text::Plain(names.to_client(&wire)).to_json());
    }
    if let Some(tools) = present(tools) {
        edit.set(TOOLS, Some(tools), all_renamed(tools, names)?);
    }
    Ok(edit.text())
}
