//! Pure, streaming translation between OpenAI Chat Completions and the Responses API.
//!
//! A client speaks Chat Completions or the Responses API; the backend speaks a strict form of the Responses API and always
//! streams. This crate turns the client's body into the one that the backend takes, and what comes back into what the client
//! reads. It has no I/O, no clock, no chance, no environment, no logging, no threads and no async: bytes, ids and times are
//! arguments, and the same arguments give the same result.
//!
//! ```text
//! client's body ──▶ chat::ChatRequest / responses::ResponsesRequest ──▶ to_responses / normalise ──▶ Translated { request, plan, notices }
//!                                                                                          │ to_json        │
//!                                                                                          ▼                │
//!                                                                                       upstream            │ ReplyPlan
//!                                                                                          │ bytes          ▼
//! client's reply ◀── chunks, events, a body ◀── ChatPipe, ChatFold, ResponsesPipe, ResponsesFold ◀──────────┘
//! ```
//!
//! **Output does not depend on how the input bytes were split, and a stream that did not end with a terminal event never looks
//! finished.**
//!
//! # Example
//!
//! ```
//! use codex_translate::{ChatPipe, Chunk, EventReader, Flow, ReplyId, Options, Pipe, Profile, chat, to_responses};
//!
//! // What the client sends …
//! let body = br#"{"model": "gpt-5.5", "stream": true, "messages": [{"role": "user", "content": "Say hey."}]}"#;
//! let request = chat::ChatRequest::from_json(body)?;
//! let translated = to_responses(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
//! // … becomes what upstream is sent, …
//! assert!(translated.request.to_json().starts_with(br#"{"model":"gpt-5.5","instructions":"","input":[{"#));
//!
//! // … and what upstream sends, in pieces of any size, …
//! let upstream = concat!(
//!     "event: response.output_text.delta\n",
//!     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey!\"}\n\n",
//!     "event: response.completed\n",
//!     "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n",
//! );
//! let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
//! let mut reader = EventReader::new();
//! let mut pipe = ChatPipe::new(&translated.plan, &reply_id);
//! let mut reply = Vec::new();
//! for piece in upstream.as_bytes().chunks(16) {
//!     if pipe.feed(&mut reader, &Chunk::Bytes(piece), &mut reply)? == Flow::Done {
//!         break; // Whatever upstream sends now means nothing: let it go.
//!     }
//! }
//! // … becomes what the client reads.
//! let summary = pipe.finish(&mut reply)?;
//! pipe.end(summary.usage.as_ref(), &mut reply);
//!
//! let reply = String::from_utf8(reply).expect("chunks are UTF-8");
//! assert!(reply.contains(r#""delta":{"content":"Hey!"}"#));
//! assert!(reply.contains(r#""finish_reason":"stop""#));
//! assert!(reply.ends_with("data: [DONE]\n\n"));
//! # Ok::<(), codex_translate::Error>(())
//! ```
//!
//! # Replies
//!
//! | the client asked for | type | its parts, for an embedder with a framing of its own |
//! |---|---|---|
//! | a chat stream | [`ChatPipe`] | [`Decoder`], [`responses::Event`], [`ChatStream`], a [`chat::DeltaSink`] |
//! | a chat body | [`ChatFold`] | the same, gathered |
//! | a stream of the Responses API | [`ResponsesPipe`] | [`Decoder`], [`ResponseStream`], an [`EventSink`] |
//! | a body of the Responses API | [`ResponsesFold`] | the same, gathered |
//!
//! All four are used alike: `feed` until it says [`Flow::Done`] or upstream ends, then `finish`. As long as a pipe has written
//! nothing an error is an HTTP status ([`Error::status_hint`], [`Error::body`]); after that `encode_error` writes the event that
//! SDKs raise. For `n` choices run one turn for each, the choice's index in its [`ReplyPlan::choice`], and `end` once; bodies
//! are joined by [`chat::Completion::merge`].
//!
//! # Events
//!
//! What a reply makes of each event of the backend. An event of any other type does nothing on the chat path and goes on as it
//! came on the Responses path.
//!
//! | event | chat | Responses |
//! |---|---|---|
//! | `response.created`, `.in_progress`, `.queued` | nothing | held until the first output; under the caller's model name; one `response.created`, the first event |
//! | `response.output_item.added` | a tool call begins, if it is named | once for each item; indexes without gaps; a call once it is named |
//! | `response.output_item.done` | what the deltas have left out; an image | before it, what the deltas and ends have left out |
//! | `response.content_part.added`, `.done`, `response.reasoning_summary_part.added`, `.done` | nothing | once for each part, made up where missing |
//! | `response.output_text.delta`, `response.text.delta` | `content`, or reasoning if it is commentary | as `response.output_text.delta`, after its item and part |
//! | `response.refusal.delta` | `refusal` | the same |
//! | `response.reasoning_summary_text.delta`, `response.reasoning_text.delta` | reasoning, as [`ReasoningStyle`] says | the same |
//! | `response.function_call_arguments.delta`, `response.custom_tool_call_input.delta` | `tool_calls[].function.arguments` | the same |
//! | the `.done` of these | what the deltas have left out | the same, after a delta for what they have left out |
//! | `response.output_text.annotation.added` | `annotations`, if it is a URL's, its place moved to that in the whole content | as it came |
//! | `response.completed`, `response.done` | the finish | `response.completed`, with the whole output; an error if a call is not whole |
//! | `response.incomplete` | `length` or `content_filter` | with the whole output; open items end as incomplete |
//! | `response.failed`, `response.cancelled`, `error` | an error | an error; `response.failed` if the stream has begun |
//! | `keepalive`, `[DONE]`, no type, no content | nothing | left out |
//!
//! A message's phase is read as commentary (`commentary`, `analysis`) or as the answer, and written as `commentary` or
//! `final_answer`, the words that SDKs know, unless [`ReplyPlan::keep_phases`] is set. Half a surrogate pair, which is no
//! character, is U+FFFD in all that goes out, requests as well as replies.
//!
//! # Request parameters
//!
//! Each has one fate. *Carried*: sent with its meaning. *Emulated*: brought about on this side. *Clamped*: sent with the nearest
//! value that the model takes. *Dropped*: not sent, with a [`Notice`]; refused if [`Options::strict`] is set. *Refused*: a 400
//! that says what to do instead. Anything else is dropped. The tables are [`params::CHAT`], [`params::RESPONSES`],
//! [`params::EXTRA`] and [`params::IMAGES`].
//!
//! Chat Completions:
//!
//! | parameter | fate | |
//! |---|---|---|
//! | `audio` | refused | this backend has no audio; ask for text |
//! | `frequency_penalty` | dropped | the backend does not take it |
//! | `function_call` | carried | as `tool_choice` |
//! | `functions` | carried | as function tools; the reply says `function_call` |
//! | `logit_bias` | dropped | the backend does not take it |
//! | `logprobs` | dropped | the backend does not take it |
//! | `max_completion_tokens` | emulated | the reply is cut at the limit |
//! | `max_tokens` | emulated | the reply is cut at the limit |
//! | `messages` | carried | as `input` and `instructions` |
//! | `metadata` | dropped | nothing is stored here |
//! | `modalities` | refused | this backend has no audio; ask for text |
//! | `model` | carried | by the slug of its profile; the reply echoes the caller's name |
//! | `moderation` | dropped | the backend does not take it |
//! | `n` | emulated | one turn for each choice, up to the limit of the options |
//! | `parallel_tool_calls` | carried | as it is |
//! | `prediction` | dropped | the backend does not take it |
//! | `presence_penalty` | dropped | the backend does not take it |
//! | `prompt_cache_key` | carried | as it is |
//! | `prompt_cache_options` | dropped | the backend does not take it |
//! | `prompt_cache_retention` | dropped | the backend does not take it |
//! | `reasoning_effort` | clamped | to the nearest effort that the model has |
//! | `response_format` | carried | as `text.format`; `json_object` gets a developer message if `input` does not speak of JSON |
//! | `safety_identifier` | dropped | the backend does not take it |
//! | `seed` | dropped | the backend does not take it |
//! | `service_tier` | clamped | `fast` means `priority`, which is sent where the model lists it |
//! | `stop` | emulated | the reply is cut before the first of them |
//! | `store` | dropped | nothing is stored here |
//! | `stream` | emulated | upstream always streams |
//! | `stream_options` | emulated | `include_usage` is obeyed; `include_obfuscation` is carried |
//! | `temperature` | dropped | the backend does not take it |
//! | `tool_choice` | carried | a hosted tool cannot be forced: `auto` |
//! | `tools` | carried | with `strict` always written out and names in the backend's form |
//! | `top_logprobs` | dropped | the backend does not take it |
//! | `top_p` | dropped | the backend does not take it |
//! | `user` | dropped | the backend does not take it |
//! | `verbosity` | clamped | as `text.verbosity`, where the model takes it |
//! | `web_search_options` | carried | as the hosted tool `web_search` |
//!
//! Responses:
//!
//! | parameter | fate | |
//! |---|---|---|
//! | `background` | refused | nothing runs in the background here; leave it out and wait for the reply |
//! | `context_management` | dropped | the backend does not take it |
//! | `conversation` | refused | nothing is stored here; send the whole conversation in `input` |
//! | `include` | carried | those values that the backend knows |
//! | `input` | carried | text becomes a list; ids and references are removed, what is left over is cleaned |
//! | `instructions` | carried | as it is; absent, an empty text is sent |
//! | `max_output_tokens` | emulated | the reply is cut at the limit |
//! | `max_tool_calls` | dropped | the backend does not take it |
//! | `metadata` | dropped | nothing is stored here |
//! | `model` | carried | by the slug of its profile |
//! | `moderation` | dropped | the backend does not take it |
//! | `parallel_tool_calls` | carried | as it is |
//! | `previous_response_id` | refused | nothing is stored here; send the whole conversation in `input` |
//! | `prompt` | refused | stored prompts are not reachable; send their text in `instructions` |
//! | `prompt_cache_key` | carried | as it is |
//! | `prompt_cache_options` | dropped | the backend does not take it |
//! | `prompt_cache_retention` | dropped | the backend does not take it |
//! | `reasoning` | clamped | `effort` to the nearest that the model has; `summary` where the model takes it |
//! | `safety_identifier` | dropped | the backend does not take it |
//! | `service_tier` | clamped | `fast` means `priority`, which is sent where the model lists it |
//! | `store` | emulated | by a program that keeps responses (`Options::stores`); else dropped |
//! | `stream` | emulated | upstream always streams |
//! | `stream_options` | carried | those members that the backend knows |
//! | `temperature` | dropped | the backend does not take it |
//! | `text` | carried | `verbosity` where the model takes it |
//! | `tool_choice` | carried | a hosted tool cannot be forced: `auto` |
//! | `tools` | carried | with `strict` always written out and names in the backend's form |
//! | `top_logprobs` | dropped | the backend does not take it |
//! | `top_p` | dropped | the backend does not take it |
//! | `truncation` | dropped | the backend does not take it |
//! | `user` | dropped | the backend does not take it |
//!
//! Understood on both:
//!
//! | parameter | fate | |
//! |---|---|---|
//! | `client_metadata` | carried | as it is; marks a body of the Codex CLI, whose items are left as they are |
//! | `reasoningEffort` | carried | as `reasoning_effort` (opencode) |
//! | `reasoningSummary` | carried | as `reasoning.summary` (opencode) |
//! | `textVerbosity` | carried | as `verbosity` (opencode) |
//!
//! Pictures ([`images`]):
//!
//! | parameter | fate | |
//! |---|---|---|
//! | `background` | carried | as it is |
//! | `complexity` | dropped | the backend draws no vectors |
//! | `frame_count` | dropped | the backend draws one frame |
//! | `frame_duration_ms` | dropped | the backend draws one frame |
//! | `image` | carried | as `images` |
//! | `images` | carried | as data URLs; of edits |
//! | `input_fidelity` | dropped | the backend does not take it |
//! | `markup` | refused | the backend edits the picture as a whole; say in the prompt what is to change |
//! | `mask` | refused | the backend edits the picture as a whole; say in the prompt what is to change |
//! | `model` | emulated | the backend draws with a model of its own, whatever is named |
//! | `moderation` | dropped | the backend does not take it |
//! | `n` | emulated | one call for each picture, up to the limit of the options |
//! | `output_compression` | dropped | the backend does not take it |
//! | `output_format` | dropped | the backend draws PNG |
//! | `partial_images` | dropped | pictures come whole |
//! | `prompt` | carried | as it is |
//! | `quality` | clamped | to the nearest that the backend knows; the reply says which it was |
//! | `response_format` | emulated | `url` is a data URL: nothing is stored here |
//! | `safety_identifier` | dropped | the backend does not take it |
//! | `size` | carried | as it is; the reply says which it was |
//! | `stream` | refused | pictures come whole; leave it out and wait for the reply |
//! | `style` | dropped | the backend does not take it |
//! | `svg` | refused | the backend draws no vectors |
//! | `user` | dropped | the backend does not take it |
//!
//! A request to compact a conversation ([`compact`]) is a Responses request; what says something of a reply (`tools`, `text`,
//! `include`, `stream` and their kin) is dropped from it.
//!
//! # Limits
//!
//! What a stream keeps is bounded, whatever upstream sends. A text that is streamed is not kept on the chat path; the Responses
//! path keeps it for the output of the last event.
//!
//! | constant | value | beyond it |
//! |---|---|---|
//! | [`MAX_EVENT_BYTES`] | 33554432 | an error |
//! | [`MAX_OUTPUT_ITEMS`] | 10000 | an error |
//! | [`MAX_OUTPUT_TEXTS`] | 20000 | an error |
//! | [`MAX_OUTPUT_BYTES`] | 134217728 | an error on the Responses path |
//! | [`chat::MAX_COMPLETION_BYTES`] | 134217728 | an error of a chat reply that is gathered |
//! | [`MAX_COMMENTARY_BYTES`] | 1048576 | commentary is the answer at once |
//! | [`MAX_EARLY_BYTES`] | 262144 | the stream begins, and a failure is no status any more |
//! | [`MAX_NOTICES`] | 64 | further notices are counted |
//!
//! # Errors
//!
//! An [`Error`] is what a client can be told, and [`ErrorKind`] what it can do about it.
//!
//! | kind | status | `type` | `code` | |
//! |---|---|---|---|---|
//! | `InvalidRequest` | 400 | `invalid_request_error` | | change the request |
//! | `TooLarge` | 413 | `invalid_request_error` | `request_too_large` | send less |
//! | `ModelNotFound` | 404 | `invalid_request_error` | `model_not_found` | choose another model |
//! | `ContextLengthExceeded` | 400 | `invalid_request_error` | `context_length_exceeded` | shorten the conversation |
//! | `PolicyRefused` | 400 | `invalid_request_error` | | change the prompt |
//! | `Authentication` | 401 | `authentication_error` | `upstream_login_required` | log in again |
//! | `Permission` | 403 | `permission_error` | | use another account or workspace |
//! | `RateLimited` | 429 | `rate_limit_error` | `rate_limit_exceeded` | wait [`Error::retry_after`], then try again |
//! | `UsageLimit` | 429 | `rate_limit_error` | `usage_limit_reached` | wait until the plan's window opens again |
//! | `QuotaExceeded` | 429 | `insufficient_quota` | `insufficient_quota` | use another plan |
//! | `Overloaded` | 503 | `server_error` | `server_is_overloaded` | try again |
//! | `Server` | 502 | `server_error` | `upstream_error` | try again |
//! | `Truncated` | 502 | `server_error` | `stream_truncated` | try again: what came is not the whole answer |
//! | `Protocol` | 502 | `server_error` | `upstream_protocol_error` | try again; if it stays, report it |
//! | `Timeout` | 504 | `server_error` | `upstream_timeout` | try again |
//! | `Internal` | 500 | `server_error` | `internal_error` | report it |
//!
//! The code is the backend's own where it gives one.

mod error;
mod json;
mod notice;
mod outcome;
mod plan;
mod profile;
mod reply;
mod request;
mod sse;
mod tool_names;
mod usage;

pub mod backend;
pub mod chat;
pub mod responses;

pub use error::{Error, ErrorBody, ErrorKind, Origin, Retry};
pub use json::{Text, TextBuf};
pub use notice::{Fate, MAX_NOTICES, Notice};
pub use outcome::{Finish, Flow, ReplyId, Summary};
pub use plan::{ReasoningStyle, ReplyPlan};
pub use profile::{DEFAULT_MAX_CHOICES, Effort, Options, Profile};
pub use reply::{
    ChatFold, ChatPipe, ChatStream, Chunk, EventBuffer, EventReader, EventSink, Fold, MAX_COMMENTARY_BYTES,
    MAX_EARLY_BYTES, MAX_EVENT_BYTES, MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS, Pipe, Response,
    ResponseStream, ResponsesFold, ResponsesPipe,
};
pub use request::{
    ConversationSeed, Translated, compact, conversation_id, images, normalise, params, to_lite, to_responses,
};
pub use responses::RawEvent;
pub use sse::{DecodeError, Decoder, Frame};
pub use tool_names::ToolNames;
pub use usage::Usage;
