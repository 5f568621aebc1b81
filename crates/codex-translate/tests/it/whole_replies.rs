//! What an embedder reads of a whole reply, against its JSON; and the constructors of plain requests.

use codex_translate::chat::{ChatRequest, Completion, ToolCall};
use codex_translate::responses::ResponsesRequest;
use codex_translate::{
    ChatFold, Chunk, Dialect, Error, Finish, Fold as _, Options, Profile, RawEvent, ReplyPlan, RequestPaths, Response,
    ResponsesFold, Storage, Translated, WholeReply, dialect, normalise, to_responses,
};
use serde_json::{Value, json};

use crate::feeding::feed_fold;
use crate::fixtures::{cases, reply_id};

type Named<T> = Vec<(String, T)>;

/// Returns every completion and every response of the fixtures, by the name of its case.
fn replies() -> (Named<Completion>, Named<Response>) {
    let (mut completions, mut responses) = (Vec::new(), Vec::new());
    for case in cases() {
        let chunks = || [Chunk::Bytes(&case.events[..])];
        if let Some(Ok(whole)) = case.chat_plan().map(|plan| feed_fold(ChatFold::new(&plan, &reply_id()), chunks())) {
            completions.push((case.name.clone(), whole));
        }
        let plan = case.responses_plan();
        if let Some(Ok(whole)) = plan.map(|plan| feed_fold(ResponsesFold::new(&plan, &reply_id()), chunks())) {
            responses.push((case.name.clone(), whole));
        }
    }
    assert!(completions.len() > 30 && responses.len() > 30);
    (completions, responses)
}

fn strings(calls: &[ToolCall]) -> Vec<[&str; 3]> {
    calls.iter().map(|call| [&*call.id, &*call.name, &*call.arguments]).collect()
}

#[test]
fn a_completion_says_what_its_json_says() {
    for (name, completion) in replies().0 {
        let json: Value = serde_json::from_slice(&completion.to_json()).unwrap();
        assert_eq!((&json["id"], &json["model"]), (&json!(completion.reply_id().id), &json!(completion.model())));
        let choice = &json["choices"][0];
        let message = &choice["message"];
        assert_eq!(completion.text(), message["content"].as_str().unwrap_or_default(), "{name}");
        assert_eq!(completion.finish().as_str(), choice["finish_reason"], "{name}");
        let calls: Vec<_> = message["tool_calls"].as_array().into_iter().flatten().collect();
        let function = |call: &Value, key: &str| call["function"][key].as_str().unwrap().to_owned();
        let named: Vec<_> = calls
            .iter()
            .map(|call| (call["id"].as_str().unwrap(), function(call, "name"), function(call, "arguments")))
            .collect();
        let named: Vec<_> = named.iter().map(|(id, name, arguments)| [*id, &**name, &**arguments]).collect();
        assert_eq!(strings(completion.tool_calls()), named, "{name}");
        assert_eq!(json!(completion.tool_calls()).as_array().unwrap().iter().collect::<Vec<_>>(), calls, "{name}");
        let total = completion.usage().map(|usage| json!(usage.total_tokens)).unwrap_or_default();
        assert_eq!(total, json["usage"]["total_tokens"], "{name}");
        let [only] = completion.choices() else { panic!("{name}: one choice") };
        assert_eq!((only.index(), only.text()), (choice["index"].as_u64().unwrap() as u32, completion.text()));
        assert_eq!(only.refusal(), message["refusal"].as_str(), "{name}");
        let reasoning = message.get("reasoning_content").or_else(|| message.get("reasoning")).and_then(Value::as_str);
        assert_eq!(only.reasoning(), reasoning, "{name}");
    }
}

#[test]
fn a_response_says_what_the_completion_of_the_same_events_says() {
    let (completions, responses) = replies();
    let mut compared = 0;
    for (name, response) in responses {
        let json: Value = serde_json::from_str(response.json()).unwrap();
        assert_eq!(serde_json::to_value(&response).unwrap(), json, "{name}");
        assert_eq!(response.output().len(), json["output"].as_array().unwrap().len(), "{name}");
        let total = response.usage().map(|usage| json!(usage.total_tokens)).unwrap_or_default();
        assert_eq!(total, json["usage"].get("total_tokens").cloned().unwrap_or_default(), "{name}");
        let Some((_, completion)) = completions.iter().find(|(other, _)| *other == name) else { continue };
        // Other settings of the client make other replies.
        let is_thinking = completion.text().contains("<think>");
        if is_thinking || completion.finish() != response.finish() || completion.finish() == Finish::Length {
            continue;
        }
        assert_eq!(response.refusal().as_deref(), completion.refusal(), "{name}");
        assert_eq!(response.text(), completion.text(), "{name}");
        assert_eq!(response.tool_calls(), completion.tool_calls(), "{name}");
        assert_eq!(response.usage(), completion.usage(), "{name}");
        compared += 1;
    }
    assert!(compared > 20, "{compared} compared");
}

#[test]
fn a_reply_of_any_dialect_says_the_same() {
    let event = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":
        [{"type":"output_text","text":"Hey!"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}],
        "usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#;
    for dialect in Dialect::ALL {
        let plan = ReplyPlan::new("m");
        let mut fold = dialect.fold(&plan, &reply_id());
        let _done = fold.push(RawEvent::new(event)).unwrap();
        let whole: WholeReply = fold.end().unwrap();
        assert_eq!((&*whole.text(), whole.finish()), ("Hey!", Finish::ToolCalls));
        assert_eq!(strings(&whole.tool_calls()), [["c", "f", "{}"]]);
        assert_eq!(whole.usage().map(|usage| usage.total_tokens), Some(3));
        assert_eq!(whole.to_json(), serde_json::to_vec(&whole).unwrap());
    }
}

#[test]
fn commentary_is_the_text_of_a_response_without_an_answer() {
    let text = |phases: &[(&str, &str)]| {
        let message = |(phase, text): &(&str, &str)| {
            let content = match *phase {
                "refusal" => json!({"type": "refusal", "refusal": text}),
                _ => json!({"type": "output_text", "text": text}),
            };
            json!({"type": "message", "phase": phase, "content": [content]})
        };
        let output: Vec<_> = phases.iter().map(message).collect();
        let event = json!({"type": "response.completed", "response": {"status": "completed", "output": output}});
        let mut fold = dialect::RESPONSES.fold(&ReplyPlan::new("m"), &reply_id());
        let _done = fold.push(RawEvent::new(&event.to_string())).unwrap();
        fold.end().unwrap().text().into_owned()
    };
    assert_eq!(
        text(&[("commentary", "a"), ("final_answer", "b"), ("final_answer", ""), ("final_answer", "c")]),
        "b\n\nc"
    );
    assert_eq!(text(&[("commentary", "a"), ("final_answer", "")]), "a");
    assert_eq!(text(&[("commentary", "a"), ("refusal", "no")]), "");
    assert_eq!(text(&[]), "");
}

#[test]
fn a_prompt_is_the_request_of_one_message() {
    let check = |made: Result<Translated, Error>, read: Result<Translated, Error>| {
        let (made, read) = (made.unwrap(), read.unwrap());
        assert_eq!(made.request.to_json(), read.request.to_json());
        // Without a body there is nothing to refer to.
        let plan = ReplyPlan { paths: RequestPaths::default(), ..read.plan };
        assert_eq!((ReplyPlan { paths: RequestPaths::default(), ..made.plan }, made.notices), (plan, read.notices));
    };
    let (profile, options) =
        (Profile::permissive("m"), Options { storage: Storage::UpTo(usize::MAX), ..Options::default() });
    let chat = |request| to_responses(request, &profile, &options);
    let body = br#"{"model": "m", "messages": [{"role": "user", "content": "Hello \"you\"!"}]}"#;
    check(chat(ChatRequest::prompt("m", "Hello \"you\"!")), chat(ChatRequest::from_json(body).unwrap()));
    let body =
        br#"{"model": "m", "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "x"}]}"#;
    let request = ChatRequest::prompt("m", "x").with_instructions("Be kind.");
    check(chat(request), chat(ChatRequest::from_json(body).unwrap()));
    let responses = |request| normalise(request, &profile, &options);
    let body = br#"{"model": "m", "input": "x"}"#;
    check(responses(ResponsesRequest::prompt("m", "x")), responses(ResponsesRequest::from_json(body).unwrap()));
}
