//! The HTML pages: self-contained, and usable without JavaScript.

/// Returns a page with `title` and the given body markup. Callers escape what they interpolate.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n",
        title = escape(title)
    )
}

/// Escapes text for element content and for quoted attribute values.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;background:#f4f4f2;color:#222;margin:0}\
main{max-width:32rem;margin:4rem auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:8px}\
h1{font-size:1.4rem;margin-top:0}dt{font-weight:600}dd{margin:0 0 .6rem;overflow-wrap:anywhere}\
button{font:inherit;padding:.5rem 1.4rem;margin-right:.8rem;border-radius:6px;border:1px solid #888;cursor:pointer}\
button[value=approve]{background:#0a6b3d;border-color:#0a6b3d;color:#fff}input{font:inherit;padding:.4rem}";
