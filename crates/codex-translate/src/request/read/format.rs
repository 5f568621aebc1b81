//! The format of the answer: `response_format` in chat and `text.format` in Responses, each in the shape of either.

use crate::error::Error;
use crate::json::{Members, Node, find, find_type};
use crate::notice::Notices;
use crate::request::schema::{self, Settled, Strict};
use crate::responses::{Format, JsonSchema, Opaque};

/// Why a setting is dropped that another parameter or member has set.
pub(super) const SET_TWICE: &str = "already set to another value";

/// Reads a format; `None` for plain text, which is the default.
///
/// # Errors
/// The format has the wrong type, or a schema is missing: a 400 with its path.
pub(super) fn read(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Option<Format>, Error> {
    let members = node.object()?;
    let kind_node = find_type(&members).map(|kind| node.key("type", kind));
    let kind = match &kind_node {
        Some(kind) => kind.str()?,
        None if find(&members, "type").is_some() && members.len() == 1 => "text".into(),
        None => return Err(node.missing("type")),
    };
    let has_schema = find(&members, "schema").is_some_and(|raw| !node.key("schema", raw).is_blank());
    match &*kind {
        // llama.cpp, Together and Fireworks put the schema of JSON mode here.
        "json_object" if has_schema => {
            notices.repaired(node.place("type"), "sent `json_object` with a schema as `json_schema`");
            json_schema(node, &members, notices).map(Some)
        }
        "json_schema" => json_schema(node, &members, notices).map(Some),
        kind @ ("text" | "json_object") => {
            for (key, raw) in members.iter().filter(|(key, _)| key != "type") {
                let member = node.key(key, raw);
                if !member.is_blank() {
                    notices.dropped(member.here(), format!("not a member of the format `{kind}`"));
                }
            }
            Ok((kind == "json_object").then_some(Format::JsonObject))
        }
        other => Ok(Some(Format::Other(Opaque::new(other, &members)))),
    }
}

/// Sets what another name of the same setting may have set before.
pub(super) fn set<T: PartialEq>(slot: &mut Option<T>, value: T, node: &Node<'_, '_>, notices: &mut Notices) {
    match slot {
        None => *slot = Some(value),
        Some(first) if *first == value => {}
        Some(_) => notices.dropped(node.here(), SET_TWICE),
    }
}

/// Reads a schema and what belongs to it. Chat nests them in `json_schema`, Responses does not, and some clients do
/// both; what is nested counts.
fn json_schema(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<Format, Error> {
    let mut format = SchemaMembers::default();
    let nested = find(members, "json_schema").map(|raw| node.key("json_schema", raw));
    let inner = nested.as_ref().map(Node::object).transpose()?.unwrap_or_default();
    if let Some(nested) = &nested {
        format.read(nested, &inner, notices)?;
    }
    let mut beside = members.clone();
    beside.retain(|(key, _)| key != "type" && key != "json_schema");
    format.read(node, &beside, notices)?;
    format.finish(nested.as_ref().unwrap_or(node), notices)
}

/// The members of a format with a schema.
#[derive(Default)]
struct SchemaMembers<'a, 'n> {
    name: Option<String>,
    description: Option<String>,
    strict: Option<bool>,
    schema: Option<Node<'a, 'n>>,
}

impl<'a, 'n> SchemaMembers<'a, 'n> {
    fn read(&mut self, node: &'n Node<'a, 'n>, members: &'n Members<'a>, notices: &mut Notices) -> Result<(), Error> {
        for (key, raw) in members {
            let member = node.key(key, raw);
            match &**key {
                "schema" if member.text() != "\"\"" => match &self.schema {
                    Some(schema) if schema.text() != member.text() => notices.dropped(member.here(), SET_TWICE),
                    _ => self.schema = Some(member),
                },
                // Empty values count as absent.
                _ if member.is_blank() => {}
                "name" => set(&mut self.name, member.string()?, &member, notices),
                "description" => set(&mut self.description, member.string()?, &member, notices),
                "strict" => set(&mut self.strict, member.bool()?, &member, notices),
                _ => notices.dropped(member.here(), "unknown member"),
            }
        }
        Ok(())
    }

    fn finish(self, node: &Node<'_, '_>, notices: &mut Notices) -> Result<Format, Error> {
        let Some(schema) = self.schema else {
            return Err(node.missing("schema"));
        };
        let name = self.name.unwrap_or_else(|| {
            notices.repaired(node.place("name"), "added the name `response`");
            "response".to_owned()
        });
        let strict = self.strict.map_or(Strict::Off, Strict::Given);
        let Settled { schema, strict } = schema::of_format(&schema, strict, notices)?;
        let strict = strict == Some(true);
        Ok(Format::JsonSchema(JsonSchema { name, description: self.description, schema, strict }))
    }
}
