//! The pages that the browser shows at the end of a login.
//!
//! They contain no secret and load nothing: inline style, no script. The content security policy forbids everything
//! else.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#57606a;--line:#d8dee4;--good:#1a7f37;--bad:#b42318}\
@media(prefers-color-scheme:dark){:root{--bg:#0f1216;--card:#181c22;--text:#e8ebef;--soft:#9aa4af;--line:#2c333b;--good:#4ac26b;--bad:#ff8a80}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;padding:1.5rem;background:var(--bg);color:var(--text);\
font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif}\
main{width:100%;max-width:32rem;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:2rem}\
.mark{display:inline-flex;align-items:center;justify-content:center;width:2.75rem;height:2.75rem;border-radius:50%;\
border:2px solid currentColor;font-size:1.4rem;font-weight:700}\
.good{color:var(--good)}.bad{color:var(--bad)}\
h1{margin:1rem 0 .5rem;font-size:1.4rem;line-height:1.3}p{margin:.5rem 0;overflow-wrap:anywhere}\
code{font:.9em ui-monospace,Menlo,Consolas,monospace;background:var(--bg);border:1px solid var(--line);\
border-radius:5px;padding:.1em .35em}\
footer{margin-top:1.5rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}";

/// What the pages say about the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageTexts {
    /// Its name, if it has told one.
    pub(crate) program: Option<String>,
    /// The command that starts another login.
    pub(crate) login_command: String,
}

/// A page, by what it tells the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoginPage {
    Success { email: Option<String>, plan: Option<String> },
    Denied { description: String },
    NotEntitled,
    StateMismatch,
    MissingCode,
    Expired,
    Failed { reason: String },
}

impl LoginPage {
    /// Renders the page as a complete response.
    pub(crate) fn response(&self, texts: &PageTexts) -> Response<Full<Bytes>> {
        let (heading, lines) = self.text(texts);
        let program = texts.program.as_deref().map(escape);
        let title = program.as_ref().map_or_else(|| heading.to_owned(), |program| format!("{heading} – {program}"));
        let footer =
            program.map_or_else(|| "From this machine".to_owned(), |name| format!("{name}, running on this machine"));
        let (class, mark) = if matches!(self, Self::Success { .. }) { ("good", "✓") } else { ("bad", "!") };
        let paragraphs: String = lines.iter().map(|line| format!("<p>{line}</p>\n")).collect();
        let html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <div class=\"mark {class}\" aria-hidden=\"true\">{mark}</div>\n<h1>{heading}</h1>\n{paragraphs}\
             <footer>{footer}</footer>\n</main>\n</body>\n</html>\n"
        );
        respond(self.status(), "text/html; charset=utf-8", html)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Success { .. }
            | Self::Denied { .. }
            | Self::NotEntitled
            | Self::MissingCode
            | Self::Expired
            | Self::Failed { .. } => StatusCode::OK,
            Self::StateMismatch => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the heading and the paragraphs, as HTML.
    fn text(&self, texts: &PageTexts) -> (&'static str, Vec<String>) {
        let again = format!(
            "Your earlier login, if any, is unchanged. To try again, run <code>{}</code>.",
            escape(&texts.login_command)
        );
        match self {
            Self::Success { email, plan } => {
                let account = email
                    .as_deref()
                    .map_or_else(|| "Your account".to_owned(), |email| format!("<strong>{}</strong>", escape(email)));
                let plan = plan.as_deref().map(|plan| format!(" ({})", escape(plan))).unwrap_or_default();
                let to = texts.program.as_deref().map(|program| format!(" to {}", escape(program))).unwrap_or_default();
                let connected = format!("{account}{plan} is connected{to}.");
                ("Logged in", vec![connected, "You can close this tab and return to the terminal.".to_owned()])
            }
            Self::Denied { description } => {
                let reason = format!("Reason: {}", escape(description));
                ("Access denied", vec![reason, again])
            }
            Self::NotEntitled => {
                let ask = "This account has no access to Codex. Ask the administrator of its workspace for access.";
                ("No access to Codex", vec![ask.to_owned(), again])
            }
            Self::StateMismatch => {
                let why = "State mismatch: this answer belongs to another login, so it was ignored.";
                let next = "The login in the terminal is still waiting. Open the link that it printed last.";
                ("Wrong login", vec![why.to_owned(), next.to_owned()])
            }
            Self::MissingCode => {
                let why = "The answer has no authorization code (<code>missing_authorization_code</code>).";
                ("Login incomplete", vec![why.to_owned(), again])
            }
            Self::Expired => {
                let why =
                    "The authorization code has expired or was already used. A code works once and for a short time.";
                ("Login expired", vec![why.to_owned(), again])
            }
            Self::Failed { reason } => {
                let why = format!("Reason: {}", escape(reason));
                ("Login failed", vec![why, again])
            }
        }
    }
}

/// Redirects the browser to a path of this server, away from the URL that contains the code.
pub(crate) fn redirect(path: &'static str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::FOUND, "");
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(path));
    response
}

/// Responds with a line of plain text.
pub(crate) fn text(status: StatusCode, line: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", line)
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    const HOSTILE: &str = "<script>alert('x')</script>&\"";

    fn pages() -> Vec<LoginPage> {
        vec![
            LoginPage::Success { email: Some(HOSTILE.to_owned()), plan: Some(HOSTILE.to_owned()) },
            LoginPage::Success { email: None, plan: None },
            LoginPage::Denied { description: HOSTILE.to_owned() },
            LoginPage::NotEntitled,
            LoginPage::StateMismatch,
            LoginPage::MissingCode,
            LoginPage::Expired,
            LoginPage::Failed { reason: HOSTILE.to_owned() },
        ]
    }

    #[tokio::test]
    async fn pages_are_self_contained_and_escape_what_they_quote() {
        let hostile = PageTexts { program: Some(HOSTILE.to_owned()), login_command: HOSTILE.to_owned() };
        for (page, texts) in
            pages().into_iter().flat_map(|page| [(page.clone(), hostile.clone()), (page, PageTexts::default())])
        {
            let response = page.response(&texts);
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
            let html = response.into_body().collect().await.unwrap().to_bytes();
            let html = String::from_utf8(html.to_vec()).unwrap();
            assert!(!html.contains("<script") && !html.contains("http"), "{html}");
            assert!(html.contains("<h1>") && html.contains("viewport") && html.contains("prefers-color-scheme"));
            for class in html.split("class=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split(' ')) {
                assert!(STYLE.contains(&format!(".{class}{{")), "no style for `{class}`");
            }
        }
    }

    #[test]
    fn only_a_state_mismatch_is_a_client_error() {
        assert_eq!(LoginPage::StateMismatch.response(&PageTexts::default()).status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            LoginPage::Denied { description: String::new() }.response(&PageTexts::default()).status(),
            StatusCode::OK
        );
    }
}
