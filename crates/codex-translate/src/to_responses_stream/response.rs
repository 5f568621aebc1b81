//! The response object: as upstream has it, with what this side knows better.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::reply::Identity;
use crate::responses::{ResponseBody, present};
use crate::splice::{Edits, members};
use crate::text::Text;
use crate::usage::{ResponsesUsage, Usage};

/// A whole response, as its JSON.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Response(Box<RawValue>);

impl Response {
    /// # Errors
    /// A defect of this crate: the JSON was put together from JSON.
    pub(super) fn new(json: String) -> Result<Self, Error> {
        RawValue::from_string(json).map(Self).map_err(|error| Error::protocol(error.to_string()))
    }

    /// The response as JSON text.
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

/// The response object as it was last written.
#[derive(Clone, Debug)]
pub(super) struct Template {
    model: String,
    json: String,
}

impl Template {
    /// A response of which upstream has said nothing yet.
    pub(super) fn new(model: String, identity: Identity) -> Self {
        let model = Text::Plain(&model).to_json();
        let json = format!(
            "{{\"id\":{},\"object\":\"response\",\"created_at\":{},\"status\":\"in_progress\",\"error\":null,\
             \"incomplete_details\":null,\"instructions\":null,\"metadata\":{{}},\"model\":{model},\"output\":[],\
             \"parallel_tool_calls\":true,\"temperature\":1.0,\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\
             \"usage\":null}}",
            Text::Plain(&identity.id).to_json(),
            identity.created
        );
        Self { model, json }
    }

    pub(super) fn json(&self) -> &str {
        &self.json
    }

    pub(super) fn into_json(self) -> String {
        self.json
    }

    /// Takes over what upstream says of the response now, under the caller's name of the model.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn read(&mut self, response: Option<&RawValue>) -> Result<(), Error> {
        let Some(response) = present(response) else { return Ok(()) };
        let [id, object, created_at, status, model, output] =
            members(response.get(), ["id", "object", "created_at", "status", "model", "output"])?;
        let mut edits = Edits::new(response.get());
        edits.set("model", model, &*self.model);
        // What every client reads is there, whatever upstream left out.
        let [own_id, own_created, own_status] = members(&self.json, ["id", "created_at", "status"])?;
        for (key, found, own) in
            [("id", id, own_id), ("created_at", created_at, own_created), ("status", status, own_status)]
        {
            if let (None, Some(own)) = (present(found), own) {
                edits.set(key, found, own.get());
            }
        }
        if present(object).is_none() {
            edits.set("object", object, "\"response\"");
        }
        if present(output).is_none() {
            edits.set("output", output, "[]");
        }
        let json = edits.text();
        self.json = json;
        Ok(())
    }

    pub(super) fn set_in_progress(&mut self) {
        self.set(&[("status", Cow::Borrowed("\"in_progress\"")), ("error", Cow::Borrowed("null"))]);
    }

    pub(super) fn set_output(&mut self, output: &str) {
        self.set(&[("output", Cow::Borrowed(output))]);
    }

    /// The response as it is when this side ends it.
    pub(super) fn cut(&mut self, status: &str, usage: Option<&Usage>, output: &str) {
        let usage = usage.and_then(|usage| serde_json::to_string(&ResponsesUsage(*usage)).ok());
        let details = if status == "incomplete" { "{\"reason\":\"max_output_tokens\"}" } else { "null" };
        self.set(&[
            ("status", Cow::Owned(Text::Plain(status).to_json())),
            ("incomplete_details", Cow::Borrowed(details)),
            ("output", Cow::Borrowed(output)),
            ("usage", usage.map_or(Cow::Borrowed("null"), Cow::Owned)),
        ]);
    }

    /// The response as it is when it fails.
    pub(super) fn fail(&mut self, error: &Error, output: &str) {
        let code = error.code().unwrap_or("server_error");
        let (code, message) = (Text::Plain(code).to_json(), Text::Plain(error.message()).to_json());
        let error = format!("{{\"code\":{code},\"message\":{message}}}");
        self.set(&[
            ("status", Cow::Borrowed("\"failed\"")),
            ("error", Cow::Owned(error)),
            ("output", Cow::Borrowed(output)),
        ]);
    }

    fn set(&mut self, changes: &[(&str, Cow<'_, str>)]) {
        for (key, value) in changes {
            // It was an object when it was read.
            let Ok([found]) = members(&self.json, [key]) else { return };
            let mut edits = Edits::new(&self.json);
            edits.set(key, found, &**value);
            let json = edits.text();
            self.json = json;
        }
    }
}

/// The items in a response's output.
///
/// # Errors
/// The output is not a list.
pub(super) fn items(response: Option<&RawValue>) -> Result<Vec<&RawValue>, Error> {
    let body = ResponseBody::read(response)?;
    body.output.map_or(Ok(Vec::new()), |output| {
        serde_json::from_str(output.get()).map_err(|_| Error::protocol("the output of the reply is not a list"))
    })
}
