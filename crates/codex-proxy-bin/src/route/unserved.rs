//! The endpoints of other servers that public clients call and that do not exist here, each with the reason.

use super::path::below;

/// An endpoint that does not exist here, with all paths below it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unserved {
    path: &'static str,
    /// Why it does not exist, for a sentence that begins with the path.
    pub(crate) why: &'static str,
    /// Whether its clients expect the error as a text, as Ollama's do: they would show an object as `[object Object]`.
    pub(crate) has_plain_errors: bool,
}

const fn because(why: &'static str, path: &'static str) -> Unserved {
    Unserved { path, why, has_plain_errors: false }
}

const fn of_ollama(path: &'static str) -> Unserved {
    Unserved {
        path,
        why: "Ollama's API is not available here; use a client's OpenAI-compatible mode",
        has_plain_errors: true,
    }
}

const ANTHROPIC: &str = "Anthropic's API is not available here";
const AUDIO: &str = "audio is not available here";
const ADAPTERS: &str = "the backend's models take no adapters";
const AZURE: &str =
    "of Azure's API, only /openai/v1 and the deployments' chat completions, responses and images are available";
const BALANCE: &str = "the account has no balance; /v1/usage shows its quota";
const CHATGPT: &str = "of ChatGPT's own API, only what the Codex CLI needs is available";
const FILES: &str = "files are not stored here; send them in the request";
const GEMINI: &str = "Gemini's API is not available here";
const LLAMA: &str = "llama.cpp's own API is not available here";
const LITELLM: &str = "LiteLLM's administration is not available here; the models are at /v1/models";
const LM_STUDIO: &str = "LM Studio's own API is not available here";
const MISPLACED: &str = "no endpoint is below this path; the base URL must end in /v1, with nothing else before it";
const MCP: &str = "codex-proxy is not an MCP server";
const ORGANIZATION: &str = "a ChatGPT account has no organization to administer";
const POOLING: &str = "the backend has no model that classifies or embeds";
const PROMPTS: &str = "prompts are not stored here; send the messages";
const RERANK: &str = "the backend has no reranking model";
const RETIRED: &str = "OpenAI has retired it";
const TEXT: &str = "the backend does not complete plain text";
const TRAINING: &str = "the backend does not train or evaluate models";
const VERTEX: &str = "Vertex AI's API is not available here";
const VIDEO: &str = "the backend has no video model";
const VOICE: &str = "realtime sessions are not available here";

/// The endpoints. A path below one that is served is listed, too, where it would otherwise be read as an id.
static UNSERVED: [Unserved; 123] = [
    // OpenAI's, in the order of its reference.
    because("input tokens are not counted in advance; the usage of a response has them", "/responses/input_tokens"),
    because("conversations are not stored here; use previous_response_id or send all items", "/conversations"),
    because("chat completions are not stored here", "/chat/completions"),
    because(TEXT, "/completions"),
    because("the backend has no embedding model", "/embeddings"),
    because(AUDIO, "/audio"),
    because(VIDEO, "/videos"),
    because(VIDEO, "/video"),
    because("the backend does not vary images; use /v1/images/edits with a prompt", "/images/variations"),
    because("the backend has no moderation model", "/moderations"),
    because("requests are not processed in batches", "/batches"),
    because(FILES, "/files"),
    because(FILES, "/uploads"),
    because(FILES, "/vector_stores"),
    because(FILES, "/containers"),
    because(FILES, "/skills"),
    because(TRAINING, "/fine_tuning"),
    because(TRAINING, "/fine-tunes"),
    because(TRAINING, "/evals"),
    because("assistants are not available here; use /v1/responses", "/assistants"),
    because("assistants are not available here; use /v1/responses", "/threads"),
    because("chat sessions are not available here; use /v1/responses", "/chatkit"),
    because("agents are not available here; use /v1/responses", "/agents"),
    because("agents are not available here; use /v1/responses", "/vaults"),
    because(VOICE, "/realtime"),
    because(VOICE, "/live"),
    because("webhooks are not available here", "/webhook_endpoints"),
    because("webhooks are not available here", "/webhook_event_types"),
    because("the backend has no moderation model", "/decisions"),
    because("the backend has no moderation model", "/safety"),
    because("the backend does not check where content comes from", "/content_provenance_checks"),
    because(ORGANIZATION, "/organization"),
    because(ORGANIZATION, "/organizations"),
    because(ORGANIZATION, "/projects"),
    because(BALANCE, "/dashboard"),
    because(BALANCE, "/credits"),
    because(PROMPTS, "/prompts"),
    because(RETIRED, "/engines"),
    because(RETIRED, "/edits"),
    because(RETIRED, "/answers"),
    because(RETIRED, "/classifications"),
    because(RETIRED, "/search"),
    // Of servers that extend OpenAI's API.
    because(TEXT, "/fim"),
    because(RERANK, "/rerank"),
    because(RERANK, "/v2/rerank"),
    because(RERANK, "/score"),
    because(POOLING, "/classify"),
    because(POOLING, "/pooling"),
    because(ADAPTERS, "/load_lora_adapter"),
    because(ADAPTERS, "/unload_lora_adapter"),
    because("the requests of the past are on the status page, not here", "/generation"),
    because("documents are not read here; send them in the request", "/ocr"),
    because(MCP, "/mcp"),
    because(MCP, "/sse"),
    because("there is nothing to discover here", "/.well-known"),
    // LiteLLM's.
    because(LITELLM, "/model/info"),
    because(LITELLM, "/model/new"),
    because(LITELLM, "/model/update"),
    because(LITELLM, "/model/delete"),
    because(LITELLM, "/model_group"),
    because(LITELLM, "/key/info"),
    because(LITELLM, "/key/generate"),
    because(LITELLM, "/key/list"),
    because(BALANCE, "/key"),
    because(BALANCE, "/user/balance"),
    because(LITELLM, "/user"),
    because(LITELLM, "/team"),
    because(LITELLM, "/spend"),
    because(LITELLM, "/global"),
    because(LITELLM, "/utils"),
    // Azure's.
    because(AZURE, "/deployments"),
    because(AZURE, "/images/generations:submit"),
    because(AZURE, "/operations"),
    because(AZURE, "/extensions"),
    because(AZURE, "/ingestion"),
    because(AZURE, "/models/chat/completions"),
    because(AZURE, "/models/embeddings"),
    // Anthropic's.
    because(ANTHROPIC, "/messages"),
    because(ANTHROPIC, "/complete"),
    because(ANTHROPIC, "/anthropic"),
    // Google's.
    because(GEMINI, "/v1beta"),
    because(GEMINI, "/v1beta1"),
    because(GEMINI, "/v1alpha"),
    because(GEMINI, "/upload"),
    because(GEMINI, "/ws"),
    because(GEMINI, "/cachedContents"),
    because(GEMINI, "/tunedModels"),
    because(VERTEX, "/publishers"),
    // Amazon's and Cohere's.
    because("Amazon Bedrock's API is not available here", "/model"),
    because("Cohere's API is not available here", "/v2/chat"),
    because("Cohere's API is not available here", "/v2/embed"),
    // Of local servers.
    because(LM_STUDIO, "/api/v0"),
    because(LM_STUDIO, "/api/v1"),
    of_ollama("/api/chat"),
    of_ollama("/api/generate"),
    of_ollama("/api/tags"),
    of_ollama("/api/show"),
    of_ollama("/api/version"),
    of_ollama("/api/ps"),
    of_ollama("/api/embed"),
    of_ollama("/api/embeddings"),
    of_ollama("/api/pull"),
    of_ollama("/api/push"),
    of_ollama("/api/create"),
    of_ollama("/api/copy"),
    of_ollama("/api/delete"),
    of_ollama("/api/blobs"),
    of_ollama("/api/stop"),
    of_ollama("/api/me"),
    because(LLAMA, "/completion"),
    because(LLAMA, "/infill"),
    because(LLAMA, "/tokenize"),
    because(LLAMA, "/detokenize"),
    because(LLAMA, "/apply-template"),
    because(LLAMA, "/embedding"),
    because(LLAMA, "/reranking"),
    because(LLAMA, "/props"),
    because(LLAMA, "/slots"),
    because(LLAMA, "/lora-adapters"),
    because(LLAMA, "/generate"),
    because(LLAMA, "/generate_stream"),
    // ChatGPT's.
    because(CHATGPT, "/backend-api"),
    because(CHATGPT, "/api/codex"),
];

/// The methods that Gemini's clients add to the name of a model, behind a colon, in Google's and Vertex AI's paths.
const GEMINI_METHODS: [&str; 17] = [
    "asyncBatchEmbedContent",
    "batchEmbedContents",
    "batchGenerateContent",
    "bidiGenerateContent",
    "computeTokens",
    "countTokens",
    "embedContent",
    "generateAnswer",
    "generateContent",
    "generateMessage",
    "generateText",
    "predict",
    "predictLongRunning",
    "rawPredict",
    "serverStreamingPredict",
    "streamGenerateContent",
    "streamRawPredict",
];

static OF_A_GEMINI_MODEL: Unserved = because(GEMINI, "/models");
static OF_VERTEX: Unserved = because(VERTEX, "/projects");

/// The endpoints of this server that clients look for below the bases of others, such as `/api/v1` (OpenRouter),
/// `/v1beta/openai` (Gemini), `/inference/v1` (Fireworks) and `/compatible-mode/v1` (DashScope).
static BELOW_OTHER_BASES: [Unserved; 5] = [
    because(MISPLACED, "/chat/completions"),
    because(MISPLACED, "/responses"),
    because(MISPLACED, "/responses/compact"),
    because(MISPLACED, "/images/generations"),
    because(MISPLACED, "/images/edits"),
];

/// Returns the endpoint that does not exist here and to which a path without its base belongs.
pub(super) fn unserved(path: &str) -> Option<&'static Unserved> {
    let listed = listed(path);
    let is_misplaced = |endpoint: &&Unserved| {
        let is_below = path.strip_suffix(endpoint.path).is_some_and(|base| !base.is_empty());
        is_below && listed.is_none_or(|listed| listed.why != AZURE)
    };
    BELOW_OTHER_BASES.iter().find(is_misplaced).or(listed)
}

/// Returns the endpoint of another server to which a path belongs.
pub(super) fn listed(path: &str) -> Option<&'static Unserved> {
    let (resource, method) = path.rsplit_once(':').unwrap_or((path, ""));
    if GEMINI_METHODS.contains(&method) && below(OF_A_GEMINI_MODEL.path, resource).is_some() {
        return Some(&OF_A_GEMINI_MODEL);
    }
    // A project of OpenAI's organizations has no location.
    if below(OF_VERTEX.path, path).is_some_and(|rest| rest.contains("/locations/")) {
        return Some(&OF_VERTEX);
    }
    UNSERVED.iter().find(|unserved| below(unserved.path, path).is_some())
}
