//! Cloudflare in front of the backend: its pages, and the headers it adds to replies (`docs/backend.md` §3.5, §3.6).

use http::{Response, StatusCode};

use crate::exchange::reply::{self, Body};
use crate::ids::Rng;
use crate::scenario::plan::CloudflarePage;

/// Returns a reply that does not come from the backend.
pub(crate) fn page(page: CloudflarePage) -> Response<Body> {
    match page {
        CloudflarePage::Challenge => challenge(),
        CloudflarePage::Blocked => cloudflare_page(StatusCode::FORBIDDEN, "Attention Required! | Cloudflare", BLOCKED),
        CloudflarePage::UnableToLoad => reply::html(StatusCode::FORBIDDEN, UNABLE_TO_LOAD.to_owned()),
        CloudflarePage::NotFound => {
            let mut response = reply::empty(StatusCode::NOT_FOUND);
            reply::set(&mut response, "server", "cloudflare");
            response
        }
        CloudflarePage::Gateway(code) => {
            let status = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
            let reason = status.canonical_reason().unwrap_or("Web server is returning an unknown error");
            let title = format!("chatgpt.com | {code}: {reason}");
            cloudflare_page(status, &title, &format!("<h1>Error {code}</h1><p>{reason}</p>"))
        }
    }
}

/// Returns Cloudflare's managed challenge: 403 with HTML.
pub(crate) fn challenge() -> Response<Body> {
    let mut response = cloudflare_page(StatusCode::FORBIDDEN, "Just a moment...", CHALLENGE);
    reply::set(&mut response, "cf-mitigated", "challenge");
    response
}

/// Adds the headers that identify a reply to support.
pub(crate) fn with_support_headers(mut response: Response<Body>, mut rng: Rng) -> Response<Body> {
    reply::set(&mut response, "x-request-id", &rng.uuid());
    reply::set(&mut response, "x-oai-request-id", &rng.uuid());
    reply::set(&mut response, "cf-ray", &format!("{}-AMS", rng.hex(16)));
    reply::set(&mut response, "cf-cache-status", "DYNAMIC");
    reply::set(&mut response, "x-openai-proxy-wasm", "v0.1");
    reply::set(&mut response, "x-robots-tag", "nofollow");
    reply::set(&mut response, "set-cookie", &format!("__cf_bm={}; Path=/; HttpOnly; SameSite=None", rng.token(24)));
    response
}

const CHALLENGE: &str = "<noscript>Enable JavaScript and cookies to continue</noscript>";
const BLOCKED: &str = "<h1>Sorry, you have been blocked</h1><h2>You are unable to access chatgpt.com</h2>";
const UNABLE_TO_LOAD: &str = "<html><head><style>.container{align-items:center;display:flex;flex-direction:column}</style></head>\
                              <body><div class=\"container\"><p>Unable to load site</p></div></body></html>";

fn cloudflare_page(status: StatusCode, title: &str, body: &str) -> Response<Body> {
    let page = format!(
        "<!DOCTYPE html><html lang=\"en-US\"><head><title>{title}</title>\
         <meta name=\"robots\" content=\"noindex,nofollow\"></head><body>{body}</body></html>"
    );
    let mut response = reply::html(status, page);
    reply::set(&mut response, "server", "cloudflare");
    response
}
