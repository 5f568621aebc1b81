//! Turns, and the ways to read their replies.

use std::sync::{Arc, Mutex};

use codex_client::{Caller, ReplyObserver, TurnContext};
use codex_translate::chat::{Delta, DeltaSink};
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::{Error, Flow, Options, Summary, dialect};
use codex_upstream::ModelAliases;
use futures_util::StreamExt as _;
use http_body::Body;
use serde_json::json;

use crate::support::{Rig, chat, chat_with, read, responses};

#[tokio::test]
async fn a_reply_is_read_as_a_stream_or_as_a_whole_in_the_dialect_of_its_request() {
    let rig = Rig::start().await;
    let stream = read(rig.client.chat(chat("[sim:text=one two] hi")).await.unwrap().into_sse()).await;
    assert!(stream.contains("\"delta\":{\"content\":\"one") && stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let whole = rig.client.chat(chat("[sim:text=one two] hi")).await.unwrap().collect().await.unwrap();
    assert_eq!(whole.text(), "one two");
    let stream = read(rig.client.responses(responses("[sim:text=one two] hi")).await.unwrap().into_sse()).await;
    assert!(stream.starts_with("event: response.created\n") && stream.contains("event: response.completed\n"));
    let whole = rig.client.responses(responses("[sim:text=one two] hi")).await.unwrap().collect().await.unwrap();
    assert_eq!((whole.text(), whole.stored_form().is_some()), ("one two".into(), true));
}

/// For servers: it is what axum, hyper and others accept as a body.
#[tokio::test]
async fn a_stream_is_a_body_that_may_move_between_threads() {
    fn is_body<B: Body<Data = bytes::Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static>(body: B) -> B {
        body
    }
    let rig = Rig::start().await;
    let reply = rig.client.chat(chat("hi")).await.unwrap();
    let body = is_body(reply.into_sse());
    let text = tokio::spawn(read(body)).await.unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[tokio::test]
async fn the_events_of_a_reply_can_be_read_as_the_backend_sends_them() {
    let rig = Rig::start().await;
    let reply = rig.client.chat(chat_with("hi", json!({"stop": "."}))).await.unwrap();
    assert_eq!(reply.plan().stop, ["."]);
    let mut events = reply.into_events().await.unwrap();
    let mut kinds = Vec::new();
    while let Some(batch) = events.next().await {
        let flow = events.each(&batch.unwrap(), |event| {
            kinds.push(event.kind().to_string());
            Ok(Flow::Continue)
        });
        assert_eq!(flow.unwrap(), Flow::Continue);
    }
    assert_eq!(kinds.first().map(String::as_str), Some("response.created"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "response.completed"), "{kinds:?}");
}

#[tokio::test]
async fn a_terminal_gets_the_deltas_of_a_reply_and_how_it_ended() {
    #[derive(Default)]
    struct Terminal(String);
    impl DeltaSink for Terminal {
        fn delta(&mut self, delta: Delta<'_>) {
            if let Delta::Content(text) = delta {
                self.0.push_str(&text.to_string());
            }
        }
    }
    let (rig, mut terminal) = (Rig::start().await, Terminal::default());
    let request = chat_with("[sim:text=one two three four] hi", json!({"stop": "three"}));
    let summary = rig.client.chat(request).await.unwrap().each_delta(&mut terminal).await.unwrap();
    assert_eq!((terminal.0.trim(), summary.finish.as_str()), ("one two", "stop"));
    assert!(summary.usage.is_some());
    let cut = rig.client.chat(chat("[sim:text=one two][sim:no-terminal] hi")).await.unwrap();
    assert!(cut.each_delta(&mut terminal).await.is_err());
}

#[tokio::test]
async fn each_choice_is_a_turn_and_all_are_one_reply() {
    let rig = Rig::start().await;
    let request = || chat_with("[sim:text=same] hi", json!({"n": 3}));
    let whole = rig.client.chat(request()).await.unwrap().collect().await.unwrap();
    let whole: serde_json::Value = serde_json::to_value(&whole).unwrap();
    assert_eq!(whole["choices"].as_array().unwrap().len(), 3);
    assert_eq!(rig.turns().len(), 3);
    let stream = read(rig.client.chat(request()).await.unwrap().into_sse()).await;
    for index in 0..3 {
        assert!(stream.contains(&format!("\"index\":{index}")), "{stream}");
    }
    assert_eq!(stream.matches("data: [DONE]").count(), 1);
}

#[tokio::test]
async fn notices_name_what_was_changed() {
    let rig = Rig::start().await;
    let reply = rig.client.chat(chat_with("hi", json!({"seed": 7, "model": "gpt-5.5-fast"}))).await.unwrap();
    let parameters: Vec<_> = reply.notices().iter().map(|notice| notice.parameter.as_str()).collect();
    assert_eq!(parameters, ["model", "seed"]);
    assert_eq!(reply.dialect(), &dialect::CHAT);
}

/// The conversation's id is that of the request, and one of its own for each caller.
#[tokio::test]
async fn header_and_body_name_the_same_conversation_and_callers_do_not_share_one() {
    let rig = Rig::start().await;
    let (options, aliases) = (Options::default(), ModelAliases::default());
    for caller in ["ada", "bob", "ada"] {
        let caller = Caller { id: caller.to_owned(), ..Caller::default() };
        let context = TurnContext { caller: Some(&caller), options: &options, aliases: &aliases };
        rig.client.prepare_for(chat("hi"), &context).unwrap().send().await.unwrap().collect().await.unwrap();
    }
    let keys: Vec<_> = rig
        .turns()
        .iter()
        .map(|turn| {
            let key = turn.body.as_ref().unwrap()["prompt_cache_key"].as_str().unwrap().to_owned();
            assert_eq!((turn.header("session-id"), turn.header("thread-id")), (Some(&*key), Some(&*key)));
            key
        })
        .collect();
    assert!(keys[0] == keys[2] && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn a_uuid_of_the_caller_is_the_conversation_only_if_callers_may_share_it() {
    const UUID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";
    let rig = Rig::start().await;
    let (options, aliases) = (Options::default(), ModelAliases::default());
    for (id, keeps_uuids) in [("ada", false), ("bob", false), ("ada", true), ("bob", true)] {
        let caller = Caller { id: id.to_owned(), session: Some(UUID.to_owned()), keeps_uuids };
        let context = TurnContext { caller: Some(&caller), options: &options, aliases: &aliases };
        rig.client.prepare_for(chat("hi"), &context).unwrap().send().await.unwrap().collect().await.unwrap();
    }
    let turns = rig.turns();
    let key = |at: usize| turns[at].body.as_ref().unwrap()["prompt_cache_key"].as_str().unwrap();
    assert!(key(0) != UUID && key(1) != UUID && key(0) != key(1), "{} {}", key(0), key(1));
    assert_eq!((key(2), key(3)), (UUID, UUID));
}

#[tokio::test]
async fn dropping_a_reply_or_its_future_ends_the_turn_at_the_backend() {
    let rig = Rig::start().await;
    let mut stream = rig.client.chat(chat("[sim:text=Hello there][sim:stall]")).await.unwrap().into_sse();
    assert!(stream.next().await.is_some());
    drop(stream);
    rig.until_disconnected().await;

    let rig = Rig::start().await;
    let opening = rig.client.chat(chat("[sim:stall=headers]"));
    tokio::select! {
        _ = opening => panic!("the reply began"),
        () = rig.until_stalled() => {}
    }
    rig.until_disconnected().await;
}

#[tokio::test]
async fn compactions_images_models_and_quota_need_no_other_client() {
    let rig = Rig::start().await;
    rig.sim.control().use_quota(27.5, 40.0);
    let compaction = rig.client.compact(responses("hello")).await.unwrap();
    assert_eq!(compaction.reply.output[0]["type"], "compaction");
    assert!(compaction.usage.is_some());
    let sent = rig.turns()[0].body.as_ref().unwrap().clone();
    assert_eq!(sent["input"][1], serde_json::json!({"type": "compaction_trigger"}));
    let request = ImagesRequest::from_json(
        Task::Generation,
        br#"{"prompt": "a fox", "n": 2, "response_format": "url"}"#,
        &Options::default(),
    );
    let images = rig.client.images(request.unwrap()).await.unwrap();
    assert_eq!(images.reply.data.len(), 2);
    assert!(images.into_json()["data"][1]["url"].as_str().unwrap().starts_with("data:image/"));
    assert!(rig.client.models().await.catalogue.find("gpt-5.5").is_some());
    let quota = rig.client.quota().await.unwrap();
    assert!(quota.quota.windows.iter().any(|window| (window.used_percent - 28.0).abs() < 1.0), "{quota:?}");
    assert_eq!(rig.client.known_quota().quota, quota.quota);
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl ReplyObserver for Seen {
    fn sent(&self) {
        let mut seen = self.0.lock().unwrap();
        if seen.last().is_none_or(|last| last != "sent") {
            seen.push("sent".to_owned());
        }
    }

    fn completed(&self, summary: &Summary) {
        self.add(summary.finish.as_str());
    }

    fn failed(&self, error: &Error) {
        self.add(&format!("{:?}", error.kind()));
    }
}

#[tokio::test]
async fn an_observer_sees_how_each_reply_ends() {
    let (rig, seen) = (Rig::start().await, Seen::default());
    read(rig.client.chat(chat("hi")).await.unwrap().into_sse_observed(seen.clone())).await;
    let steps = seen.take();
    assert_eq!(steps.last().map(String::as_str), Some("sent"), "{steps:?}");
    assert_eq!(steps.iter().filter(|step| *step == "stop").count(), 1, "{steps:?}");
    rig.client.chat(chat("hi")).await.unwrap().collect_observed(&seen).await.unwrap();
    assert_eq!(seen.take(), ["stop"]);
    rig.client.chat(chat("[sim:cut] hi")).await.unwrap().collect_observed(&seen).await.unwrap_err();
    assert_eq!(seen.take().len(), 1);
}
