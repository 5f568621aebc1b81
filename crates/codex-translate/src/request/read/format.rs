//! The format of the answer: `response_format` in chat and `text.format` in Responses, each in the shape of either.

use crate::error::Error;
use crate::json::{Node, Raw};
use crate::notice::Notices;
use crate::responses::{Format, JsonSchema, Opaque};

/// Reads a format; `None` for plain text, which is the default.
///
/// # Errors
/// The format has the wrong type, or a schema is missing: a 400 with its path.
pub(super) fn read(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Option<Format>, Error> {
    let members = node.object()?;
    let find = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, raw)| *raw);
    let Some(kind) = find("type") else {
        return Err(node.missing("type"));
    };
    let kind = node.key("type", kind).str()?;
    match &*kind {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        // Chat nests the schema, Responses does not; some clients send the shape of the other.
        "json_schema" => match find("json_schema") {
            Some(raw) => schema(&node.key("json_schema", raw), notices),
            None => schema(node, notices),
        },
        other => Ok(Some(Format::Other(Opaque::new(other, &members)))),
    }
}

fn schema(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Option<Format>, Error> {
    let (mut name, mut description, mut strict) = (None, None, false);
    let mut schema: Option<Raw> = None;
    for (key, raw) in node.object()? {
        let member = node.key(&key, raw);
        match &*key {
            "type" => {}
            "name" => name = Some(member.non_empty()?),
            "description" => description = Some(member.string()?),
            "strict" => strict = member.bool()?,
            "schema" => {
                member.object()?;
                schema = Some(member.raw());
            }
            _ => notices.dropped(member.here(), "unknown member"),
        }
    }
    let Some(schema) = schema else {
        return Err(node.missing("schema"));
    };
    let name = name.unwrap_or_else(|| {
        notices.repaired(node.place("name"), "added the name `response`");
        "response".to_owned()
    });
    Ok(Some(Format::JsonSchema(JsonSchema { name, description, schema, strict })))
}
