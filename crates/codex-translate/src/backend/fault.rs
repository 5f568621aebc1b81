//! The table of the backend's faults.

use crate::error::{ErrorKind, Retry};

/// The code of a refusal of encrypted content: the account or the model cannot read it (docs/backend.md §2.7).
pub const UNREADABLE: &str = "invalid_encrypted_content";

/// A fault of the backend: how it is recognised, and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How it is recognised.
    pub sign: Sign,
    /// The HTTP status that the backend sends. Only [`Sign::Status`] depends on it.
    pub status: u16,
    /// What it means for the client.
    pub kind: ErrorKind,
    /// What the sender of the request should do before it reports the fault to the client.
    pub retry: Retry,
    /// The code for the client, if it differs from the backend's.
    pub code: Option<&'static str>,
    /// The message, if the backend sends none.
    pub message: Option<&'static str>,
    /// Advice that is added to the backend's message, which does not know about a proxy.
    pub advice: Option<&'static str>,
}

/// How a fault is recognised. Signs are tried in the order of the variants; the first match decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Parts of the message, which has them all, whatever their case. Such faults have no code of their own, or come
    /// without it.
    Text(&'static [&'static str]),
    /// The error's `code`, or else its `type`.
    Code(&'static str),
    /// A range of HTTP statuses, inclusive, for faults without another sign.
    Status(u16, u16),
    /// The error's `code` or `type`, if it is less specific than a status.
    Class(&'static str),
}

impl Fault {
    /// Every known fault. Within a kind of sign, the first matching row decides.
    pub const ALL: &[Self] = &[
        Self::text(&["requires a newer version of Codex"], 400, ErrorKind::InvalidRequest)
            .with_code("client_version_too_old")
            .with_advice(
                " The backend checks the version that this proxy reports, not that of the client: update the proxy.",
            ),
        Self::text(&["not supported when using Codex with a ChatGPT account"], 400, ErrorKind::ModelNotFound)
            .with_code("model_not_found"),
        Self::text(&["Model not found"], 404, ErrorKind::ModelNotFound).with_code("model_not_found"),
        Self::text(&["Items are not persisted when"], 404, ErrorKind::NotFound),
        Self::text(&["model is at capacity"], 400, ErrorKind::Overloaded),
        Self::text(&["servers are currently overloaded"], 503, ErrorKind::Overloaded),
        // Only some of these refusals have the code (docs/backend.md §2.7).
        Self::text(&[UNREADABLE], 400, ErrorKind::InvalidRequest).with_code(UNREADABLE),
        Self::text(&["encrypted", "verif"], 400, ErrorKind::InvalidRequest).with_code(UNREADABLE),
        Self::text(&["encrypted", "decrypt"], 400, ErrorKind::InvalidRequest).with_code(UNREADABLE),
        Self::text(&["encrypted content", "did not match"], 400, ErrorKind::InvalidRequest).with_code(UNREADABLE),
        // The account and its plan.
        Self::code("token_expired", 401, ErrorKind::Authentication).with_code("upstream_login_required"),
        Self::code("token_invalidated", 401, ErrorKind::Authentication).with_code("upstream_login_required"),
        Self::code("token_revoked", 401, ErrorKind::Authentication).with_code("upstream_login_required"),
        Self::code("deactivated_workspace", 402, ErrorKind::Permission)
            .with_message("the selected workspace is deactivated; log in again and select another"),
        Self::code("invalid_workspace_selected", 403, ErrorKind::Permission)
            .with_message("this account has no access to the selected workspace; log in again and select another"),
        Self::code("data_residency_mismatch", 403, ErrorKind::Permission),
        Self::code("usage_limit_reached", 429, ErrorKind::UsageLimit).with_message("the usage limit has been reached"),
        Self::code("usage_not_included", 429, ErrorKind::QuotaExceeded)
            .with_code("insufficient_quota")
            .with_message("the plan of this account does not include Codex"),
        Self::code("insufficient_quota", 429, ErrorKind::QuotaExceeded),
        Self::code("rate_limit_exceeded", 429, ErrorKind::RateLimited),
        // Failures of the backend.
        Self::code("server_is_overloaded", 503, ErrorKind::Overloaded),
        Self::code("slow_down", 503, ErrorKind::Overloaded),
        // The official client knows only the two above.
        Self::code("overloaded_error", 503, ErrorKind::Overloaded).with_code("server_is_overloaded"),
        Self::code("server_error", 500, ErrorKind::Server).tried_again(),
        Self::code("vector_store_timeout", 504, ErrorKind::Server).tried_again(),
        // The model's input.
        Self::code("context_length_exceeded", 400, ErrorKind::ContextLengthExceeded),
        Self::code("model_not_found", 404, ErrorKind::ModelNotFound),
        Self::code("cyber_policy", 400, ErrorKind::PolicyRefused),
        Self::code("bio_policy", 400, ErrorKind::PolicyRefused),
        Self::code("invalid_prompt", 400, ErrorKind::PolicyRefused),
        Self::code("content_policy_violation", 400, ErrorKind::PolicyRefused),
        Self::code("image_content_policy_violation", 400, ErrorKind::PolicyRefused),
        Self::code("misalignment_policy_violation", 403, ErrorKind::PolicyRefused),
        Self::code("inference_hook_denied", 403, ErrorKind::PolicyRefused),
        // Faults of the request.
        Self::code("invalid_access_program", 400, ErrorKind::InvalidRequest),
        Self::code("unsupported_access_program", 400, ErrorKind::InvalidRequest),
        Self::code("access_program_not_enabled", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_image", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_image_url", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_image_format", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_base64_image", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_image_mode", 400, ErrorKind::InvalidRequest),
        Self::code("image_too_large", 400, ErrorKind::InvalidRequest),
        Self::code("image_too_small", 400, ErrorKind::InvalidRequest),
        Self::code("image_parse_error", 400, ErrorKind::InvalidRequest),
        Self::code("image_file_too_large", 400, ErrorKind::InvalidRequest),
        Self::code("image_file_not_found", 400, ErrorKind::InvalidRequest),
        Self::code("empty_image_file", 400, ErrorKind::InvalidRequest),
        Self::code("unsupported_image_media_type", 400, ErrorKind::InvalidRequest),
        Self::code("failed_to_download_image", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_value", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_id_prefix", 400, ErrorKind::InvalidRequest),
        Self::code("string_above_max_length", 400, ErrorKind::InvalidRequest),
        Self::code("unsupported_value", 400, ErrorKind::InvalidRequest),
        Self::code("unsupported_parameter", 400, ErrorKind::InvalidRequest),
        Self::code("unknown_parameter", 400, ErrorKind::InvalidRequest),
        Self::code("missing_required_parameter", 400, ErrorKind::InvalidRequest),
        Self::code("invalid_function_parameters", 400, ErrorKind::InvalidRequest),
        Self::code(UNREADABLE, 400, ErrorKind::InvalidRequest),
        // 413 becomes 400, because the official client retries a 413 five times (docs/backend.md §2.9).
        Self::status(401, 401, ErrorKind::Authentication).with_code("upstream_login_required"),
        Self::status(402, 403, ErrorKind::Permission),
        Self::status(404, 404, ErrorKind::Server),
        Self::status(408, 408, ErrorKind::Server).tried_again(),
        Self::status(429, 429, ErrorKind::RateLimited),
        Self::status(400, 499, ErrorKind::InvalidRequest),
        Self::status(503, 503, ErrorKind::Overloaded).with_code("server_is_overloaded"),
        Self::status(529, 529, ErrorKind::Overloaded).with_code("server_is_overloaded"),
        Self::status(500, 599, ErrorKind::Server).tried_again(),
        Self::class("invalid_request_error", 400, ErrorKind::InvalidRequest),
    ];

    /// The fault without a matching sign: the backend failed in an unknown way, and the client may retry.
    pub const UNKNOWN: &Self = &Self::new(Sign::Status(0, 0), 0, ErrorKind::Server);

    const fn text(text: &'static [&'static str], status: u16, kind: ErrorKind) -> Self {
        Self::new(Sign::Text(text), status, kind)
    }

    const fn code(code: &'static str, status: u16, kind: ErrorKind) -> Self {
        Self::new(Sign::Code(code), status, kind)
    }

    const fn status(first: u16, last: u16, kind: ErrorKind) -> Self {
        Self::new(Sign::Status(first, last), first, kind)
    }

    const fn class(class: &'static str, status: u16, kind: ErrorKind) -> Self {
        Self::new(Sign::Class(class), status, kind)
    }

    const fn new(sign: Sign, status: u16, kind: ErrorKind) -> Self {
        let retry = if matches!(kind, ErrorKind::Authentication) {
            Retry::AfterLogin
        } else if matches!(kind, ErrorKind::Overloaded) {
            Retry::AfterDelay
        } else {
            Retry::Never
        };
        Self { sign, status, kind, retry, code: None, message: None, advice: None }
    }

    const fn tried_again(mut self) -> Self {
        self.retry = Retry::AfterDelay;
        self
    }

    const fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    const fn with_message(mut self, message: &'static str) -> Self {
        self.message = Some(message);
        self
    }

    const fn with_advice(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }
}
