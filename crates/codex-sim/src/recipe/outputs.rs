//! What the model says: the output items of one reply.

use serde_json::{Value, json};

use crate::protocol::encrypted_reasoning;
use crate::protocol::schema;
use crate::protocol::turn::{OfferedTool, Turn, kind};
use crate::recipe::sample::{sample, spaced};
use crate::scenario::plan::{Content, Ending, Plan, Summaries};
use crate::scenario::word::without_words;

/// How many characters of the question or of a tool's output an answer repeats at most.
const MAX_ECHO: usize = 2_000;

/// One item of a reply.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    Reasoning {
        summary: Vec<String>,
        raw: Option<String>,
        encrypted: Option<String>,
    },
    Message {
        text: Text,
        phase: &'static str,
        citations: Vec<Citation>,
    },
    Refusal(String),
    Call {
        name: String,
        namespace: Option<String>,
        arguments: String,
    },
    CustomCall {
        name: String,
        namespace: Option<String>,
        input: String,
    },
    WebSearch {
        query: String,
    },
    Image {
        prompt: String,
    },
    /// The compacted conversation.
    Compaction {
        encrypted: String,
    },
}

/// A text and how it is split into deltas.
#[derive(Debug, Clone)]
pub(crate) enum Text {
    /// Word by word.
    Words(String),
    /// In one piece.
    Whole(String),
    /// The numbers up to this one, a delta each: a lost or reordered delta shows.
    Numbers(usize),
}

/// A `url_citation` over the characters `start..end` of its text.
#[derive(Debug, Clone)]
pub(crate) struct Citation {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) url: &'static str,
    pub(crate) title: &'static str,
}

impl Text {
    pub(crate) fn whole(&self) -> String {
        match self {
            Self::Words(text) | Self::Whole(text) => text.clone(),
            Self::Numbers(_) => self.pieces().collect(),
        }
    }

    pub(crate) fn pieces(&self) -> Box<dyn Iterator<Item = String> + Send> {
        match self {
            Self::Words(text) => Box::new(words(text).into_iter()),
            Self::Whole(text) => Box::new(std::iter::once(text.clone())),
            Self::Numbers(last) => Box::new((1..=*last).map(|number| format!("{number} "))),
        }
    }
}

impl Output {
    /// Returns the bytes for counting tokens: those of reasoning, and those of everything else.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        match self {
            Self::Reasoning { summary, raw, .. } => {
                let spoken = summary.iter().map(String::len).sum::<usize>();
                (spoken + raw.as_ref().map_or(0, String::len), 0)
            }
            Self::Message { text, .. } => (0, text.whole().len()),
            Self::Refusal(text) => (0, text.len()),
            Self::Call { name, arguments: text, .. } | Self::CustomCall { name, input: text, .. } => {
                (0, name.len() + text.len())
            }
            Self::WebSearch { query: text } | Self::Image { prompt: text } | Self::Compaction { encrypted: text } => {
                (0, text.len())
            }
        }
    }
}

/// Decides what the reply consists of.
pub(crate) fn outputs(turn: &Turn<'_>, plan: &Plan) -> Vec<Output> {
    if plan.contents.contains(&Content::NoItems) {
        return Vec::new();
    }
    // §2.8: an input that ends with a trigger gets a compaction and nothing else.
    if turn.input.last().is_some_and(|item| kind(item) == "compaction_trigger") {
        return vec![Output::Compaction { encrypted: conversation_summary(turn) }];
    }
    let tool_output = turn.last_tool_output();
    let wanted = |content: &&Content| tool_output.is_none() || !is_call(content);
    let mut contents: Vec<&Content> = plan.contents.iter().filter(wanted).collect();
    let default = default_content(turn, tool_output.is_some());
    let speaks = |content: &&Content| !matches!(content, Content::Reasoning(_) | Content::ReasoningText);
    let ends_early = matches!(plan.ending, Ending::Failed(_)) && plan.contents.is_empty();
    if !contents.iter().any(speaks) && !ends_early {
        contents.push(&default);
    }
    let mut outputs = Vec::new();
    if !contents.iter().any(|content| !speaks(content)) && !ends_early {
        outputs.extend(empty_reasoning(turn));
    }
    for (index, content) in contents.iter().enumerate() {
        let last = index + 1 == contents.len();
        push_outputs(content, turn, plan, tool_output.as_deref(), last, &mut outputs);
    }
    outputs
}

/// Returns the encrypted content that replaces the conversation, bound to this account and this family of models.
pub(crate) fn conversation_summary(turn: &Turn<'_>) -> String {
    let told = format!("{} items, the last: {}", turn.input.len(), turn.last_user_text());
    encrypted_reasoning::encrypt(&turn.grant.account_id, turn.model.family(), &told)
}

fn is_call(content: &Content) -> bool {
    matches!(content, Content::Tool(_) | Content::ParallelTools | Content::CustomTool)
}

/// Returns the content without a magic word: a forced call, JSON if a format asks for it, or else text.
fn default_content(turn: &Turn<'_>, answered: bool) -> Content {
    let choice = turn.body.get("tool_choice");
    let named = choice.and_then(|choice| choice.get("name")).and_then(Value::as_str);
    let forced = choice.is_some_and(|choice| choice == "required") && !turn.offered_tools().is_empty();
    let format = turn.at("text", "format").and_then(|format| format.get("type")).and_then(Value::as_str);
    match (named, format) {
        (Some(name), _) if !answered => Content::Tool(Some(name.to_owned())),
        _ if forced && !answered => Content::Tool(None),
        (_, Some("json_schema" | "json_object")) => Content::JsonSchema,
        _ => Content::Text(None),
    }
}

fn push_outputs(
    content: &Content,
    turn: &Turn<'_>,
    plan: &Plan,
    tool_output: Option<&str>,
    last: bool,
    out: &mut Vec<Output>,
) {
    match content {
        Content::Text(None) => out.push(message(Text::Words(answer(turn, tool_output)))),
        Content::Text(Some(text)) => out.push(message(Text::Words(text.clone()))),
        Content::Tool(name) => out.push(tool_call(turn, plan, name.as_deref())),
        Content::ParallelTools => out.extend(parallel_calls(turn, plan)),
        Content::CustomTool => out.push(custom_call(turn)),
        Content::Reasoning(summaries) => out.push(reasoning(turn, *summaries)),
        Content::ReasoningText => out.push(Output::Reasoning {
            summary: Vec::new(),
            raw: Some(THOUGHTS.join(" ")),
            encrypted: encrypted(turn),
        }),
        Content::Refusal => out.push(Output::Refusal("I'm sorry, but I can't help with that request.".to_owned())),
        Content::Commentary | Content::CommentaryOnly => {
            let text = Text::Words("Let me look at the question first.".to_owned());
            out.push(Output::Message { text, phase: "commentary", citations: Vec::new() });
            if last && *content == Content::Commentary {
                out.push(message(Text::Words(answer(turn, tool_output))));
            }
        }
        Content::JsonSchema => out.push(message(Text::Words(json_answer(turn)))),
        Content::WebSearch => out.extend(web_search(turn)),
        Content::Image if turn.can_generate_images() => {
            out.push(Output::Image { prompt: question(turn) });
            out.push(message(Text::Words("Here is the image.".to_owned())));
        }
        Content::Image => out.push(message(Text::Words("I cannot draw on this plan.".to_owned()))),
        Content::NoItems => {}
        Content::Big(deltas) => out.push(message(Text::Numbers(*deltas))),
        Content::SingleDelta(bytes) => out.push(message(Text::Whole(ruler(*bytes)))),
        Content::LineSeparators => {
            out.push(message(Text::Words("one\u{2028}two \u{2029}three\u{85}four".to_owned())));
        }
    }
}

const THOUGHTS: [&str; 2] = [
    "**Reading the question**\n\nThe user wants an answer, so I look at what was asked.",
    "**Choosing the words**\n\nA short and friendly reply is enough — nothing more ✓.",
];

/// Returns the reasoning item that comes first even if it is empty (`docs/backend.md` §3.2); with effort `none` there
/// is none.
fn empty_reasoning(turn: &Turn<'_>) -> Option<Output> {
    let none = turn.at("reasoning", "effort").is_some_and(|effort| effort == "none");
    (!none).then(|| Output::Reasoning { summary: Vec::new(), raw: None, encrypted: encrypted(turn) })
}

/// Summaries are sent only if the request asks for them (`docs/backend.md` §3.3 item 3).
fn reasoning(turn: &Turn<'_>, summaries: Summaries) -> Output {
    let asked = turn.at("reasoning", "summary").is_some();
    let summary = match summaries {
        Summaries::Requested if !asked => Vec::new(),
        Summaries::Requested | Summaries::Always => THOUGHTS.map(str::to_owned).to_vec(),
        Summaries::Blank => THOUGHTS.map(|thought| format!("{thought}\n\n<!-- -->")).to_vec(),
    };
    Output::Reasoning { summary, raw: None, encrypted: encrypted(turn) }
}

fn encrypted(turn: &Turn<'_>) -> Option<String> {
    let wanted = turn.includes("reasoning.encrypted_content");
    wanted.then(|| encrypted_reasoning::encrypt(&turn.grant.account_id, turn.model.family(), &THOUGHTS.join("\n")))
}

fn message(text: Text) -> Output {
    Output::Message { text, phase: "final_answer", citations: Vec::new() }
}

fn answer(turn: &Turn<'_>, tool_output: Option<&str>) -> String {
    match tool_output {
        Some(output) => format!("The tool answered: {} — that is all ✓.", shortened(output)),
        None => format!("You asked: “{}” — this is a simulated answer ✓.", question(turn)),
    }
}

fn question(turn: &Turn<'_>) -> String {
    shortened(&without_words(&turn.last_user_text()))
}

fn json_answer(turn: &Turn<'_>) -> String {
    let schema = turn.at("text", "format").and_then(|format| format.get("schema"));
    let value = schema.map_or_else(|| json!({"answer": question(turn)}), |schema| sample(schema, true));
    spaced(&value)
}

/// Returns the call of a named tool, or of the first function. Without any, the model says so.
fn tool_call(turn: &Turn<'_>, plan: &Plan, name: Option<&str>) -> Output {
    let offered = turn.offered_tools();
    let chosen = match name {
        Some(name) => offered.iter().find(|tool| tool.name == name),
        None => offered.iter().find(|tool| !tool.custom).or_else(|| offered.first()),
    };
    match chosen {
        Some(tool) => call(tool, plan),
        None => message(Text::Words(format!("No tool {} was offered.", name.unwrap_or("at all")))),
    }
}

/// Returns two calls, of the first two functions or of the only one twice; one if the request disables parallel
/// calls.
fn parallel_calls(turn: &Turn<'_>, plan: &Plan) -> Vec<Output> {
    let offered = turn.offered_tools();
    let functions: Vec<&OfferedTool<'_>> = offered.iter().filter(|tool| !tool.custom).collect();
    let serial = turn.body.get("parallel_tool_calls") == Some(&Value::Bool(false));
    match functions.as_slice() {
        [first, ..] if serial => vec![call(first, plan)],
        [] => vec![tool_call(turn, plan, None)],
        [only] => vec![call(only, plan), call(only, plan)],
        [first, second, ..] => vec![call(first, plan), call(second, plan)],
    }
}

fn custom_call(turn: &Turn<'_>) -> Output {
    let offered = turn.offered_tools();
    match offered.iter().find(|tool| tool.custom) {
        Some(tool) => custom(tool),
        None => message(Text::Words("No custom tool was offered.".to_owned())),
    }
}

fn call(tool: &OfferedTool<'_>, plan: &Plan) -> Output {
    if tool.custom {
        return custom(tool);
    }
    let arguments = plan.arguments.clone().unwrap_or_else(|| arguments(tool));
    Output::Call {
        name: tool.name.to_owned(),
        namespace: tool.namespace.map(str::to_owned),
        arguments: spaced(&arguments),
    }
}

/// Returns arguments that satisfy the tool's schema. A strict schema, implicit or not, requires every property.
fn arguments(tool: &OfferedTool<'_>) -> Value {
    let Some(parameters) = tool.definition.get("parameters").filter(|schema| schema.is_object()) else {
        return json!({});
    };
    let strict = match tool.definition.get("strict").and_then(Value::as_bool) {
        Some(strict) => strict,
        None => schema::to_strict(parameters).is_some(),
    };
    sample(parameters, strict)
}

fn custom(tool: &OfferedTool<'_>) -> Output {
    let input = if tool.name == "apply_patch" {
        "*** Begin Patch\n*** Add File: simulated.txt\n+simulated\n*** End Patch\n".to_owned()
    } else {
        format!("simulated input — for {} ✓", tool.name)
    };
    Output::CustomCall { name: tool.name.to_owned(), namespace: tool.namespace.map(str::to_owned), input }
}

fn web_search(turn: &Turn<'_>) -> [Output; 2] {
    let (lead, cited, rest) = ("It was sunny — see ", "Example Weather", ", which is updated daily ✓.");
    let start = lead.chars().count();
    let citation = Citation {
        start,
        end: start + cited.chars().count(),
        url: "https://example.com/weather?utm_source=openai",
        title: "Example Weather",
    };
    let text = Text::Words(format!("{lead}{cited}{rest}"));
    let answer = Output::Message { text, phase: "final_answer", citations: vec![citation] };
    [Output::WebSearch { query: question(turn) }, answer]
}

/// Returns a text of exactly `bytes` bytes, in which every position can be identified.
fn ruler(bytes: usize) -> String {
    let marks = (0_u64..).map(|line| format!("{line:015}\n"));
    let mut text = String::with_capacity(bytes + 16);
    for mark in marks {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&mark);
    }
    text.truncate(bytes);
    text
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

/// Splits after each whitespace character; the joined pieces are the text.
fn words(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}
