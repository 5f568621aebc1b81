//! Every case of `tests/fixtures`: the backend's stream, and what a client of each path gets for it, however it is
//! split. `tests/fixtures/README.md` describes the files.

use std::path::{Path, PathBuf};

use codex_translate::bounds::MAX_EVENT_BYTES;
use codex_translate::{
    ChatFold, ChatPipe, Chunk, Error, EventBuffer, EventSink as _, KeepaliveStyle, Options, Pipe, Profile,
    ReasoningStyle, ReplyId, ReplyPlan, ResponsesFold, ResponsesPipe, Summary, chat, normalise, responses,
    to_responses,
};
use serde_json::{Value, json};

use crate::feeding::{decode, feed_fold, feed_pipe};

/// Cases with more bytes are not split at every byte.
const LARGE_BYTES: usize = 16 * 1024;
const SPLITS_OF_LARGE: usize = 97;

/// One directory of `tests/fixtures`.
pub(crate) struct Case {
    pub(crate) name: String,
    directory: PathBuf,
    pub(crate) events: Vec<u8>,
}

/// What a client gets.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// The stream, possibly with an error at its end, or the body; `None` if the client gets a status instead.
    pub(crate) success: Option<String>,
    /// What went wrong.
    pub(crate) error: Option<Value>,
}

/// All cases.
#[expect(clippy::disallowed_methods, reason = "fixtures are files")]
pub(crate) fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases: Vec<_> = std::fs::read_dir(root)
        .expect("the fixtures")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .map(|directory| Case {
            name: directory.file_name().unwrap().to_string_lossy().into_owned(),
            events: std::fs::read(directory.join("events.sse")).expect("events.sse"),
            directory,
        })
        // A reply that is cut off reports its exact number of tokens.
        .filter(|case| cfg!(feature = "tokens") || !case.is_cut())
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

pub(crate) fn reply_id() -> ReplyId {
    ReplyId { id: "chatcmpl-AbCdEf0123456789".to_owned(), created: 1_750_000_000 }
}

impl Case {
    /// Returns the plans of the requests of the case.
    pub(crate) fn chat_plan(&self) -> Option<ReplyPlan> {
        let request = chat::ChatRequest::from_json(self.read("request.json")?.as_bytes()).unwrap();
        let mut plan = to_responses(request, &Profile::permissive("gpt-5.5"), &self.options()).unwrap().plan;
        plan.choice = self.json("options.json").and_then(|options| options["choice"].as_u64()).unwrap_or(0) as u32;
        Some(plan)
    }

    pub(crate) fn responses_plan(&self) -> Option<ReplyPlan> {
        let request = responses::ResponsesRequest::from_json(self.read("responses_request.json")?.as_bytes()).unwrap();
        let plan = normalise(request, &Profile::permissive("gpt-5.5"), &self.options()).unwrap().plan;
        // What a response repeats of its request, and what it leaves out, is in `echo.rs`.
        Some(ReplyPlan { echo: None, encrypted_reasoning: true, ..plan })
    }

    fn is_cut(&self) -> bool {
        [self.chat_plan(), self.responses_plan()].iter().flatten().any(ReplyPlan::is_cut)
    }

    fn options(&self) -> Options {
        let options = self.json("options.json").unwrap_or_default();
        let reasoning = match options["reasoning"].as_str() {
            Some("reasoning") => ReasoningStyle::Reasoning,
            Some("think") => ReasoningStyle::Think,
            Some("none") => ReasoningStyle::None,
            Some(other) => panic!("{}: no style {other}", self.name),
            None => ReasoningStyle::ReasoningContent,
        };
        let keepalive = match options["keepalive"].as_str() {
            Some("event") => KeepaliveStyle::Event,
            Some(other) => panic!("{}: no style {other}", self.name),
            None => KeepaliveStyle::Comment,
        };
        Options { reasoning, keepalive, ..Options::default() }
    }

    #[expect(clippy::disallowed_methods, reason = "fixtures are files")]
    fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.directory.join(file)).ok()
    }

    fn json(&self, file: &str) -> Option<Value> {
        let text = self.read(file)?;
        Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}/{file}: {error}", self.name)))
    }

    /// Returns the backend's bytes in two pieces, split at every position or at many.
    fn splits(&self) -> impl Iterator<Item = [&[u8]; 2]> {
        let step = if self.events.len() > LARGE_BYTES { self.events.len() / SPLITS_OF_LARGE } else { 1 };
        (1..self.events.len()).step_by(step).map(|at| <[&[u8]; 2]>::from(self.events.split_at(at)))
    }
}

/// One way for a client to get a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ChatStream,
    ChatBody,
    ResponsesStream,
    ResponsesMessages,
    ResponsesBody,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::ChatStream, Self::ChatBody, Self::ResponsesStream, Self::ResponsesMessages, Self::ResponsesBody];

    /// Returns the plan of the case's request for this way, if it has one.
    pub(crate) fn plan(self, case: &Case) -> Option<ReplyPlan> {
        match self {
            Self::ChatStream | Self::ChatBody => case.chat_plan(),
            Self::ResponsesStream | Self::ResponsesMessages | Self::ResponsesBody => case.responses_plan(),
        }
    }

    /// Returns the outcome that the case expects.
    fn expected(self, case: &Case) -> Outcome {
        let success = match self {
            Self::ChatStream => case.read("chunks.sse"),
            Self::ChatBody => case.read("completion.json"),
            Self::ResponsesStream | Self::ResponsesMessages => case.read("responses.sse"),
            Self::ResponsesBody => case.read("response.json"),
        };
        let is_body = matches!(self, Self::ChatBody | Self::ResponsesBody);
        let success = success.map(|text| if is_body { compact(&text) } else { text });
        let of_stream = if is_body { None } else { case.json("stream_error.json") };
        Outcome { success, error: of_stream.or_else(|| case.json("error.json")) }
    }

    /// Returns what a client gets for the backend's bytes in pieces.
    pub(crate) fn outcome<'a>(self, plan: &ReplyPlan, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        self.outcome_of(plan, pieces.into_iter().map(Chunk::Bytes))
    }

    /// Returns what a client gets for the backend's chunks of either form.
    fn outcome_of(self, plan: &ReplyPlan, chunks: impl IntoIterator<Item = Chunk<impl AsRef<[u8]>>>) -> Outcome {
        match self {
            Self::ChatStream => {
                let (stream, ended) = stream(&mut ChatPipe::new(plan, &reply_id()), chunks, Vec::is_empty);
                streamed(stream, ended)
            }
            Self::ResponsesStream => {
                let (stream, ended) = stream(&mut ResponsesPipe::new(plan, &reply_id()), chunks, Vec::is_empty);
                streamed(stream, ended)
            }
            Self::ResponsesMessages => {
                let (messages, ended) =
                    stream(&mut ResponsesPipe::new(plan, &reply_id()), chunks, EventBuffer::is_empty);
                streamed(to_sse(&messages), ended)
            }
            Self::ChatBody => {
                let gathered = feed_fold(ChatFold::new(plan, &reply_id()), chunks);
                body(gathered.map(|completion| serde_json::to_string(&completion).unwrap()))
            }
            Self::ResponsesBody => {
                let gathered = feed_fold(ResponsesFold::new(plan, &reply_id()), chunks);
                body(gathered.map(|response| compact(response.json())))
            }
        }
    }
}

fn stream<O: Default>(
    pipe: &mut impl Pipe<O>,
    chunks: impl IntoIterator<Item = Chunk<impl AsRef<[u8]>>>,
    is_empty: impl Fn(&O) -> bool,
) -> (O, Result<Summary, Error>) {
    let mut out = O::default();
    let ended = feed_pipe(pipe, chunks, &mut out);
    match &ended {
        Ok(summary) => pipe.end(summary.usage.as_ref(), &mut out),
        Err(_) if is_empty(&out) => {}
        Err(error) => pipe.write_error(error, &mut out),
    }
    (out, ended)
}

/// Writes messages as a stream of server-sent events.
fn to_sse(messages: &EventBuffer) -> Vec<u8> {
    let mut sse = Vec::new();
    messages.iter().for_each(|event| sse.event(&event.kind(), &[event.json()]));
    sse
}

fn streamed(out: Vec<u8>, ended: Result<Summary, Error>) -> Outcome {
    let success = String::from_utf8(out).expect("UTF-8");
    Outcome { success: Some(success).filter(|out| !out.is_empty()), error: ended.err().map(|error| error_json(&error)) }
}

fn body(gathered: Result<String, Error>) -> Outcome {
    match gathered {
        Ok(body) => Outcome { success: Some(body), error: None },
        Err(error) => Outcome { success: None, error: Some(error_json(&error)) },
    }
}

fn error_json(error: &Error) -> Value {
    let mut json = json!({"status": error.status_hint()});
    json["error"] = serde_json::from_slice::<Value>(&error.to_json()).unwrap()["error"].take();
    if let Some(after) = error.retry_after() {
        json["retry_after_secs"] = json!(after.as_secs_f64());
    }
    json
}

/// Normalises the whitespace of JSON, but not the order of members.
fn compact(json: &str) -> String {
    serde_json::from_str::<Value>(json).expect("JSON").to_string()
}

/// Describes the first difference of two outcomes.
fn assert_same(what: impl Fn() -> String, outcome: &Outcome, expected: &Outcome) {
    if outcome == expected {
        return;
    }
    let (what, got, wanted) = (what(), outcome.success.as_deref(), expected.success.as_deref());
    for (number, (got, wanted)) in
        got.unwrap_or_default().split("\n\n").zip(wanted.unwrap_or_default().split("\n\n")).enumerate()
    {
        assert_eq!(got, wanted, "{what}, event {number}");
    }
    assert_eq!(outcome, expected, "{what}");
}

fn check_every_split(way: Way) {
    for case in &cases() {
        let Some(plan) = way.plan(case) else { continue };
        let expected = way.expected(case);
        for pieces in case.splits() {
            let what = || format!("{}, {way:?}, split at {}", case.name, pieces[0].len());
            assert_same(what, &way.outcome(&plan, pieces), &expected);
        }
    }
}

#[test]
fn every_case_has_its_expected_outcome_whole_and_byte_by_byte() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    for case in &cases {
        assert!(case.read("note.md").is_some_and(|note| note.len() > 25), "{} says what it is for", case.name);
        let ways = Way::ALL.iter().filter_map(|way| Some((way, way.plan(case)?)));
        assert!(ways.clone().count() > 0, "{} has a request", case.name);
        for (way, plan) in ways {
            let expected = way.expected(case);
            let what = || format!("{}, {way:?}", case.name);
            assert_same(what, &way.outcome(&plan, [&case.events[..]]), &expected);
            assert_same(|| what() + ", byte by byte", &way.outcome(&plan, case.events.chunks(1)), &expected);
        }
    }
}

#[test]
fn no_chat_stream_depends_on_where_it_is_split() {
    check_every_split(Way::ChatStream);
}

#[test]
fn no_chat_body_depends_on_where_it_is_split() {
    check_every_split(Way::ChatBody);
}

#[test]
fn no_responses_stream_depends_on_where_it_is_split() {
    check_every_split(Way::ResponsesStream);
}

#[test]
fn no_responses_messages_depend_on_where_it_is_split() {
    check_every_split(Way::ResponsesMessages);
}

#[test]
fn a_reply_is_the_same_whether_it_comes_as_bytes_or_as_messages() {
    let mut count = 0;
    for case in &cases() {
        let (events, broken) = decode(MAX_EVENT_BYTES, [&case.events[..]]);
        // Messages are always valid UTF-8.
        if broken.is_some() {
            continue;
        }
        for (way, plan) in Way::ALL.iter().filter_map(|way| Some((way, way.plan(case)?))) {
            count += 1;
            let messages = events.iter().map(|(_, json)| Chunk::Message(json));
            let what = || format!("{}, {way:?}, from messages", case.name);
            assert_same(what, &way.outcome_of(&plan, messages), &way.expected(case));
        }
    }
    assert!(count > 250, "{count} replies");
}

#[test]
fn no_responses_body_depends_on_where_it_is_split() {
    check_every_split(Way::ResponsesBody);
}

#[test]
fn the_codex_cli_gets_phases_unchanged() {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == "phase_unknown").expect("the case");
    let way = Way::ResponsesStream;
    let plan = ReplyPlan { keep_phases: true, ..way.plan(case).expect("a request") };
    let expected = way.expected(case).success.expect("a stream").replace("final_answer", "partial_answer");
    assert_eq!(way.outcome(&plan, [&case.events[..]]).success.as_ref(), Some(&expected));
}
