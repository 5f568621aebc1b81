//! A client of the simulator that reads its streams.

use bytes::Bytes;
use codex_sim::{Mint, RedirectPorts, Sim, SimConfig, Tokens};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) struct Peer {
    pub(crate) sim: Sim,
    pub(crate) tokens: Tokens,
    pub(crate) client: HttpClient,
}

/// A reply that was read to its end, clean or not.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Whether the body was cut.
    pub(crate) broken: bool,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        let config =
            SimConfig { redirect_ports: RedirectPorts::Only(vec![1455]), seed: Some(7), ..SimConfig::default() };
        Self::with(config).await
    }

    pub(crate) async fn with(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.expect("the simulator starts");
        let tokens = sim.mint_tokens(Mint::default());
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { sim, tokens, client }
    }

    /// A request with the headers of the official client.
    pub(crate) fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.sim.base_url()))
            .header("authorization", format!("Bearer {}", self.tokens.access_token))
            .header("chatgpt-account-id", &self.tokens.account_id)
            .header("originator", "codex_exec")
            .header("user-agent", "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm")
            .header("content-type", "application/json")
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.client.request(request).await.expect("a reply")
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.request(Method::POST, path).body(Full::from(body.to_string()));
        read(self.send(request.expect("a request")).await).await
    }

    pub(crate) async fn fetch(&self, path: &str) -> Reply {
        let request = self.request(Method::GET, path).body(Full::default());
        read(self.send(request.expect("a request")).await).await
    }

    pub(crate) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(format!("{}{path}", self.sim.base_url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::from(body));
        read(self.send(request.expect("a request")).await).await
    }

    pub(crate) async fn turn(&self, body: &Value) -> Reply {
        self.post("/backend-api/codex/responses", body).await
    }

    /// A turn whose user says `text`.
    pub(crate) async fn say(&self, text: &str) -> Reply {
        self.turn(&turn(text)).await
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("readable"))
    }

    /// Returns the events of a stream with `\n` line ends, complete frames only.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.body);
        let (whole, _rest) = text.rsplit_once("\n\n").unwrap_or(("", ""));
        let data = |frame: &str| frame.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
        let frames = whole.split("\n\n").filter_map(data).filter(|data| data != "[DONE]");
        frames.map(|data| serde_json::from_str(&data).expect("JSON in data")).collect()
    }

    /// Returns the types of the events; a run of deltas of one type counts once.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = Vec::new();
        for event in self.events() {
            let kind = event["type"].as_str().expect("a type").to_owned();
            if !(kind.ends_with(".delta") && kinds.last() == Some(&kind)) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Returns the finished items.
    pub(crate) fn items(&self) -> Vec<Value> {
        let done = |event: &Value| event["type"] == "response.output_item.done";
        self.events().iter().filter(|event| done(event)).map(|event| event["item"].clone()).collect()
    }

    /// Returns the joined deltas of events of one type.
    pub(crate) fn joined(&self, kind: &str) -> String {
        let events = self.events();
        events.iter().filter(|e| e["type"] == kind).filter_map(|e| e["delta"].as_str()).collect()
    }

    pub(crate) fn answer(&self) -> String {
        self.joined("response.output_text.delta")
    }

    /// Asserts that the sequence numbers rise by one from zero over the numbered events.
    pub(crate) fn assert_numbered(&self) {
        let numbers: Vec<u64> = self.events().iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
        assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    }

    pub(crate) fn last(&self) -> Value {
        self.events().pop().expect("an event")
    }
}

pub(crate) async fn read(response: Response<Incoming>) -> Reply {
    let (parts, mut body) = response.into_parts();
    let mut collected = Vec::new();
    let mut broken = false;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => collected.extend_from_slice(frame.data_ref().expect("data only")),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    Reply { status: parts.status, headers: parts.headers, body: collected, broken }
}

/// Returns a valid request body whose user says `text`.
pub(crate) fn turn(text: &str) -> Value {
    json!({
        "model": "gpt-5.5",
        "instructions": "Be brief.",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
        "store": false,
        "stream": true,
    })
}

/// Returns `turn` with other keys merged into it.
pub(crate) fn turn_with(text: &str, changes: Value) -> Value {
    let mut body = turn(text);
    for (key, value) in changes.as_object().expect("an object") {
        body[key] = value.clone();
    }
    body
}

pub(crate) fn weather_tool() -> Value {
    json!({
        "type": "function", "name": "get_weather", "description": "Weather",
        "parameters": {"type": "object", "required": ["location"], "properties": {
            "location": {"type": "string"}, "unit": {"type": "string", "enum": ["c", "f"]}}},
    })
}
