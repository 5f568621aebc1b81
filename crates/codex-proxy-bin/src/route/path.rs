//! Paths: their normal form, and what stands before the path of an endpoint.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What base URLs begin with, in any number and order: clients disagree on whether a base URL ends in `/v1`, Azure's
/// have `/openai` before that, and the Codex CLI looks under `/backend-api/codex` (docs/features.md E5).
const BASES: [&str; 3] = ["/backend-api/codex", "/openai", "/v1"];

/// Returns the normal form of a path (RFC 3986 §6.2.2): nothing is encoded that need not be, and no segment is `.` or
/// `..`. Empty segments, also those at the end, are left out, since clients join base URLs and paths carelessly. An
/// encoded slash stays encoded, as in `openai%2Fgpt-5.5`.
pub(crate) fn normalised(path: &str) -> Cow<'_, str> {
    let is_normal = path.starts_with('/') && !path.contains(['%', '.']) && !path.contains("//");
    if path == "/" || is_normal && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let mut segments = Vec::new();
    for segment in path.split('/').map(unreserved_decoded) {
        match &*segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

/// Returns the path below `prefix`; `None` if it is not below it.
pub(crate) fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Returns a path without what stands before the path of an endpoint: `/v1/x`, `/v1/v1/x` and `/openai/v1/x` are `/x`.
pub(super) fn without_bases(path: &str) -> &str {
    let shorter = |path| BASES.iter().find_map(|base| below(base, path).filter(|rest| *rest != "/"));
    std::iter::successors(Some(path), |path| shorter(path)).last().unwrap_or(path)
}

/// Decodes a part of a path: a model's id may contain a slash (`openai/gpt-5.1`), which SDKs send as `%2F`.
pub(super) fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

/// Decodes what need not be encoded: the unreserved characters (RFC 3986 §2.3).
fn unreserved_decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut parts = segment.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).map(char::from);
        match byte.filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')) {
            Some(unreserved) => {
                out.push(unreserved);
                out.push_str(&part[2..]);
            }
            None => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_normal_path_has_neither_empty_segments_nor_needless_encoding() {
        for (path, expected) in [
            ("/", "/"),
            ("", "/"),
            ("//", "/"),
            ("/v1/models", "/v1/models"),
            ("//v1///models//", "/v1/models"),
            ("/v1/./models/../chat%2Dcompletions", "/v1/chat-completions"),
            ("/../../v1", "/v1"),
            ("/v1/%2e%2E/x", "/x"),
            ("/%76%31/m%6fdels", "/v1/models"),
            ("/models/openai%2Fgpt-5%2e1", "/models/openai%2Fgpt-5.1"),
            ("/models/100%", "/models/100%"),
            ("/models/%zz%+1%4", "/models/%zz%+1%4"),
            ("/models/%2541", "/models/%2541"),
            ("/.well-known/x", "/.well-known/x"),
            ("*", "/*"),
        ] {
            assert_eq!(normalised(path), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_stays_as_it_is(path in "([/.a-z]|é|%(2[5dDeEfF]|41|c3|7[eE])){0,12}") {
            let normal = normalised(&path).into_owned();
            prop_assert!(normal.starts_with('/') && !normal.contains("//"), "{}", normal);
            prop_assert!(normal == "/" || !normal.ends_with('/'), "{}", normal);
            prop_assert_eq!(normalised(&normal), normal.as_str());
        }
    }

    #[test]
    fn a_prefix_is_removed_once() {
        for (prefix, path, expected) in [
            ("", "/v1/models", Some("/v1/models")),
            ("/ai", "/ai/v1/models", Some("/v1/models")),
            ("/ai", "/ai/ai/metrics", Some("/ai/metrics")),
            ("/ai", "/ai", Some("/")),
            ("/ai", "/ai/", Some("/")),
            ("/ai", "/v1/models", None),
            ("/ai", "/", None),
            ("/ai", "/airy", None),
        ] {
            assert_eq!(below(prefix, path), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn bases_are_removed_in_any_order() {
        for base in [
            "",
            "/v1",
            "/v1/v1",
            "/openai",
            "/openai/v1",
            "/v1/openai/v1",
            "/backend-api/codex",
            "/backend-api/codex/v1",
        ] {
            assert_eq!(without_bases(&format!("{base}/models/openai/v1")), "/models/openai/v1", "{base}");
        }
        for path in ["/", "/v1", "/openai", "/v1beta/x", "/v2/x", "/openaix/y"] {
            assert_eq!(without_bases(path), path);
        }
    }
}
