//! What each scenario sends, and in which order (`docs/backend.md` §3).

use serde_json::{Value, json};

use crate::peer::{Peer, turn, turn_with, weather_tool};

const OPENING: [&str; 2] = ["response.created", "response.in_progress"];
const ADDED: &str = "response.output_item.added";
const DONE: &str = "response.output_item.done";
const COMPLETED: &str = "response.completed";
const MESSAGE: [&str; 6] = [
    ADDED,
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    DONE,
];
const CALL: [&str; 4] =
    [ADDED, "response.function_call_arguments.delta", "response.function_call_arguments.done", DONE];

fn sequence(parts: &[&[&str]]) -> Vec<String> {
    parts.concat().into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_text_turn_has_the_captured_order_and_shapes() {
    let peer = Peer::start().await;
    let reply = peer.say("How are you?").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &[ADDED, DONE], &MESSAGE, &[COMPLETED]]));
    reply.assert_numbered();
    assert!(reply.answer().contains("How are you?"));
    let events = reply.events();
    let keys: Vec<&String> = events[0]["response"].as_object().expect("an object").keys().collect();
    let wanted = "id object created_at status background error incomplete_details instructions max_output_tokens \
                  max_tool_calls model output parallel_tool_calls previous_response_id prompt_cache_key reasoning \
                  safety_identifier service_tier store temperature text tool_choice tools top_logprobs top_p truncation \
                  usage user metadata";
    assert_eq!(keys, wanted.split_whitespace().collect::<Vec<_>>());
    let id = events[0]["response"]["id"].as_str().expect("an id");
    assert_eq!((id.len(), &id[..5]), (55, "resp_"));
    let items = reply.items();
    assert_eq!(items[0], json!({"id": items[0]["id"], "type": "reasoning", "summary": []}));
    assert_eq!(items[1]["content"][0]["text"], reply.answer());
    assert_eq!(items[1]["phase"], "final_answer");
    let last = reply.last();
    assert_eq!(last["response"]["output"], json!([]));
    let usage = &last["response"]["usage"];
    let sum = usage["input_tokens"].as_u64().zip(usage["output_tokens"].as_u64()).map(|(a, b)| a + b);
    assert_eq!(usage["total_tokens"].as_u64(), sum);
    let delta = events.iter().find(|e| e["type"] == "response.output_text.delta").expect("a delta");
    assert!(delta["obfuscation"].is_string());
    assert_eq!(reply.header("content-type"), None);
    assert_eq!(reply.header("openai-model"), Some("gpt-5.5"));
    assert!(reply.header("x-codex-primary-used-percent").is_some() && reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn obfuscation_can_be_disabled() {
    let peer = Peer::start().await;
    let body = turn_with("hello", json!({"stream_options": {"include_obfuscation": false}}));
    assert!(!peer.turn(&body).await.text().contains("obfuscation"));
}

#[tokio::test]
async fn a_tool_call_has_arguments_for_its_implicitly_strict_schema() {
    let peer = Peer::start().await;
    let reply = peer.turn(&turn_with("[sim:tool] weather?", json!({"tools": [weather_tool()]}))).await;
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &[ADDED, DONE], &CALL, &[COMPLETED]]));
    let call = &reply.items()[1];
    let arguments = call["arguments"].as_str().expect("text");
    assert_eq!(arguments, r#"{"location": "sample location", "unit": "c"}"#);
    assert_eq!(reply.joined("response.function_call_arguments.delta"), arguments);
    assert!(call["id"].as_str().is_some_and(|id| id.starts_with("fc_") && id.len() == 53));
    assert!(call["call_id"].as_str().is_some_and(|id| id.starts_with("call_") && id.len() == 29));
    let echoed = &reply.events()[0]["response"]["tools"][0];
    assert_eq!(echoed["strict"], true);
    assert_eq!(echoed["parameters"]["required"], json!(["location", "unit"]));
    assert_eq!(echoed["parameters"]["additionalProperties"], false);
}

#[tokio::test]
async fn calls_follow_each_other_and_their_outputs_end_the_turn() {
    let peer = Peer::start().await;
    let second = json!({"type": "function", "name": "now", "strict": false,
                        "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}});
    let tools = json!([weather_tool(), second]);
    let body = turn_with("[sim:parallel-tools] go", json!({"tools": tools}));
    let reply = peer.turn(&body).await;
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &[ADDED, DONE], &CALL, &CALL, &[COMPLETED]]));
    let calls: Vec<Value> = reply.items().split_off(1);
    assert_eq!((&calls[0]["name"], &calls[1]["name"]), (&json!("get_weather"), &json!("now")));
    assert_eq!(calls[1]["arguments"], "{}");

    let mut next = body.clone();
    let input = next["input"].as_array_mut().expect("a list");
    input.extend(calls.iter().cloned());
    for call in &calls {
        let id = call["call_id"].clone();
        input.push(json!({"type": "function_call_output", "call_id": id, "output": "sunny and noon"}));
    }
    let last = peer.turn(&next).await;
    assert!(last.answer().contains("sunny and noon"), "{}", last.text());
}

#[tokio::test]
async fn a_forced_tool_is_called_without_a_magic_word() {
    let peer = Peer::start().await;
    let choices = [json!("required"), json!({"type": "function", "name": "get_weather"})];
    for choice in choices {
        let reply = peer.turn(&turn_with("hi", json!({"tools": [weather_tool()], "tool_choice": choice}))).await;
        assert_eq!(reply.items()[1]["name"], "get_weather");
    }
    let given = r#"[sim:tool=get_weather][sim:args={"location":"Ulm"}]"#;
    let reply = peer.turn(&turn_with(given, json!({"tools": [weather_tool()]}))).await;
    assert_eq!(reply.items()[1]["arguments"], r#"{"location": "Ulm"}"#);
}

#[tokio::test]
async fn a_custom_tool_gets_text() {
    let peer = Peer::start().await;
    let reply =
        peer.turn(&turn_with("[sim:custom-tool]", json!({"tools": [{"type": "custom", "name": "shell"}]}))).await;
    let events = ["response.custom_tool_call_input.delta", "response.custom_tool_call_input.done"];
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &[ADDED, DONE], &[ADDED], &events, &[DONE], &[COMPLETED]]));
    let item = &reply.items()[1];
    assert_eq!(item["type"], "custom_tool_call");
    assert_eq!(reply.joined("response.custom_tool_call_input.delta"), item["input"].as_str().expect("text"));
}

#[tokio::test]
async fn summaries_are_sent_when_requested() {
    let peer = Peer::start().await;
    let asked = json!({"reasoning": {"summary": "auto"}, "include": ["reasoning.encrypted_content"]});
    let reply = peer.turn(&turn_with("[sim:reasoning] hi", asked)).await;
    let part = [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ];
    let wanted = sequence(&[&OPENING, &[ADDED], &part, &part, &[DONE], &MESSAGE, &[COMPLETED]]);
    assert_eq!(reply.kinds(), wanted);
    let item = &reply.items()[0];
    assert_eq!(item["summary"].as_array().map(Vec::len), Some(2));
    assert_eq!(item["content"], json!([]));
    assert!(item.get("status").is_none());
    let reasoned = &reply.last()["response"]["usage"]["output_tokens_details"]["reasoning_tokens"];
    assert!(reasoned.as_u64() > Some(0));
    let silent = peer.say("[sim:reasoning] hi").await;
    assert_eq!(silent.items()[0]["summary"], json!([]));
    let raw = peer.say("[sim:reasoning-text] hi").await;
    assert!(raw.kinds().contains(&"response.reasoning_text.delta".to_owned()));
}

#[tokio::test]
async fn refusal_commentary_search_and_image_have_the_documented_events() {
    let peer = Peer::start().await;
    let refusal = peer.say("[sim:refusal]").await;
    assert!(refusal.kinds().contains(&"response.refusal.done".to_owned()));
    assert_eq!(refusal.items()[1]["content"][0]["type"], "refusal");

    let commentary = peer.say("[sim:commentary]").await;
    let phases: Vec<Value> = commentary.items().iter().map(|item| item["phase"].clone()).collect();
    assert_eq!(phases, [Value::Null, json!("commentary"), json!("final_answer")]);

    let search = peer.say("[sim:web-search] weather").await;
    let kinds = search.kinds();
    for kind in ["in_progress", "searching", "completed"] {
        assert!(kinds.contains(&format!("response.web_search_call.{kind}")));
    }
    let message = &search.items()[2]["content"][0];
    let cited = &message["annotations"][0];
    let span = |key: &str| cited[key].as_u64().expect("a number") as usize;
    let text: Vec<char> = message["text"].as_str().expect("text").chars().collect();
    let cut: String = text[span("start_index")..span("end_index")].iter().collect();
    assert_eq!(cut, "Example Weather");
    assert!(kinds.contains(&"response.output_text.annotation.added".to_owned()));

    let image = peer.say("[sim:image] a cat").await;
    assert!(image.kinds().contains(&"response.image_generation_call.partial_image".to_owned()));
    assert!(image.items()[1]["result"].as_str().is_some_and(|png| png.starts_with("iVBOR")));
}

#[tokio::test]
async fn a_schema_is_answered_with_json_that_satisfies_it() {
    let peer = Peer::start().await;
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["n", "list"],
                        "properties": {"n": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}}}});
    let format = json!({"format": {"type": "json_schema", "name": "r", "strict": true, "schema": schema}});
    let reply = peer.turn(&turn_with("hi", json!({"text": format}))).await;
    let value: Value = serde_json::from_str(&reply.answer()).expect("JSON");
    assert!(value["n"].is_i64() && value["list"][0].is_string());
}

#[tokio::test]
async fn endings_other_than_completed() {
    let peer = Peer::start().await;
    for (word, reason) in
        [("incomplete-max-tokens", "max_output_tokens"), ("incomplete-content-filter", "content_filter")]
    {
        let reply = peer.say(&format!("[sim:{word}] hi")).await;
        let last = reply.last();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], reason);
        assert_eq!(reply.items()[1]["status"], "incomplete");
        assert!(last["response"]["usage"].is_object());
    }
    let midway = peer.say("[sim:text=some words][sim:failed=server_error]").await;
    assert_eq!(midway.answer(), "some words");
    assert_eq!(midway.last()["type"], "response.failed");
    let overloaded = peer.say("[sim:overloaded]").await;
    assert_eq!((overloaded.status.as_u16(), overloaded.kinds()), (200, vec!["response.failed".to_owned()]));
    assert_eq!(overloaded.last()["response"]["error"]["code"], "server_is_overloaded");
}

/// Each code of §3.6, after `response.in_progress` and as the first event, with its message if one is known.
#[tokio::test]
async fn every_code_of_a_failed_response() {
    let peer = Peer::start().await;
    let codes = "context_length_exceeded insufficient_quota usage_not_included cyber_policy invalid_prompt bio_policy \
                 server_is_overloaded slow_down overloaded_error rate_limit_exceeded server_error \
                 previous_response_not_found invalid_encrypted_content something_new";
    for code in codes.split_whitespace() {
        let reply = peer.say(&format!("[sim:failed={code}]")).await;
        assert_eq!(reply.kinds(), sequence(&[&OPENING, &["response.failed"]]));
        let response = reply.last()["response"].clone();
        assert_eq!((&response["status"], &response["error"]["code"]), (&json!("failed"), &json!(code)));
        assert!(response["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
        assert_eq!((&response["usage"], &response["output"]), (&Value::Null, &json!([])));
        let first = peer.say(&format!("[sim:failed-first={code}]")).await;
        assert_eq!((first.kinds(), &first.last()["sequence_number"]), (vec!["response.failed".to_owned()], &json!(0)));
        assert_eq!(first.last()["response"]["error"], response["error"]);
    }
    let limited = peer.say("[sim:failed=rate_limit_exceeded]").await.last();
    let message = limited["response"]["error"]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("Please try again in 11.054s."), "{message}");
}

#[tokio::test]
async fn error_events_in_both_shapes_first_and_last() {
    let peer = Peer::start().await;
    let first = peer.say("[sim:error-first]").await;
    assert_eq!((first.kinds(), first.status.as_u16()), (vec!["error".to_owned()], 200));
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&first.last()), ["type", "sequence_number", "status", "error"]);
    assert_eq!(keys(&first.last()["error"]), ["type", "code", "message", "param"]);
    let flat = peer.say("[sim:error-first=flat]").await.last();
    assert_eq!(keys(&flat), ["type", "sequence_number", "code", "message", "param"]);
    let late = peer.say("[sim:text=some words][sim:error=slow_down]").await;
    assert_eq!((late.answer().as_str(), &late.last()["type"]), ("some words", &json!("error")));
    assert_eq!((&late.last()["status"], &late.last()["error"]["code"]), (&json!(503), &json!("slow_down")));
    let limited = peer.say("[sim:error-first=usage_limit_reached]").await.last();
    assert_eq!((&limited["status_code"], &limited["error"]["type"]), (&json!(429), &json!("usage_limit_reached")));
    assert_eq!(limited["headers"]["X-Codex-Primary-Used-Percent"], "100");
    assert!(limited["error"]["resets_in_seconds"].as_u64() > Some(0));
}

#[tokio::test]
async fn replies_with_missing_parts() {
    let peer = Peer::start().await;
    let none = peer.say("[sim:no-events] hi").await;
    assert_eq!((none.status.as_u16(), none.text(), none.broken), (200, "", false));
    let bare = peer.say("[sim:no-items] hi").await;
    assert_eq!(bare.kinds(), sequence(&[&OPENING, &[COMPLETED]]));
    assert_eq!(bare.last()["response"]["usage"]["output_tokens"], 0);
    let empty = peer.say("[sim:text=] hi").await;
    assert_eq!((empty.answer(), empty.items()[1]["content"][0]["text"].clone()), (String::new(), json!("")));
    let explicit = peer.say("[sim:empty-output][sim:no-content-type] hi").await;
    assert_eq!((&explicit.last()["response"]["output"], explicit.header("content-type")), (&json!([]), None));
}

#[tokio::test]
async fn restrictions_of_the_request_are_respected() {
    let peer = Peer::start().await;
    let serial = json!({"tools": [weather_tool()], "parallel_tool_calls": false});
    let reply = peer.turn(&turn_with("[sim:parallel-tools] go", serial)).await;
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &[ADDED, DONE], &CALL, &[COMPLETED]]));
    let quiet = json!({"reasoning": {"effort": "none"}});
    let reply = peer.turn(&turn_with("hi", quiet)).await;
    assert_eq!(reply.kinds(), sequence(&[&OPENING, &MESSAGE, &[COMPLETED]]));
    let blank = peer.say("[sim:reasoning=blank] hi").await;
    assert!(blank.items()[0]["summary"][0]["text"].as_str().is_some_and(|text| text.ends_with("<!-- -->")));
}

#[tokio::test]
async fn the_cache_requires_key_and_session() {
    let peer = Peer::start().await;
    let cached = async |session: Option<&str>| {
        let body = turn_with("a question", json!({"prompt_cache_key": "k1"}));
        let mut request = peer.request(http::Method::POST, "/backend-api/codex/responses");
        if let Some(session) = session {
            request = request.header("session-id", session);
        }
        let request = request.body(body.to_string().into()).expect("a request");
        let reply = crate::peer::read(peer.send(request).await).await;
        let last = reply.last();
        let echoed = last["response"]["prompt_cache_key"].as_str().expect("a key").to_owned();
        let count = last["response"]["usage"]["input_tokens_details"]["cached_tokens"].as_u64().expect("a count");
        (echoed, count)
    };
    assert_eq!(cached(Some("k1")).await, ("k1".to_owned(), 0));
    assert!(cached(Some("k1")).await.1 > 0);
    assert_eq!(cached(Some("other")).await.1, 0);
    let (echoed, count) = cached(None).await;
    assert!(echoed != "k1" && count == 0);
}

#[tokio::test]
async fn a_lite_request_offers_its_tools_in_the_input() {
    let peer = Peer::start().await;
    let mut body = turn_with("[sim:tool] hi", json!({"model": "gpt-6.1-sol", "parallel_tool_calls": false}));
    let offered = json!({"type": "additional_tools", "id": "at_1", "role": "developer",
                         "tools": [{"type": "namespace", "name": "functions", "tools": [weather_tool()]}]});
    body["input"].as_array_mut().expect("a list").insert(0, offered);
    let call = peer.turn(&body).await.items().remove(1);
    assert_eq!((&call["name"], &call["namespace"]), (&json!("get_weather"), &json!("functions")));
    assert_eq!(peer.turn(&turn("plain")).await.status, 200);
}
