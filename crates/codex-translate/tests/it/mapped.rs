//! Where the paths of a request that was sent lead in the caller's body.

use codex_translate::RequestPaths;
use serde_json::Value;

/// The depth of the members of content parts.
const MAX_DEPTH: usize = 5;

/// Returns the value at a path such as `messages[0].content`.
pub(crate) fn at<'a>(body: &'a Value, path: &str) -> Option<&'a Value> {
    let pointer: String = path.split(['.', '[']).map(|step| format!("/{}", step.trim_end_matches(']'))).collect();
    body.pointer(&pointer)
}

/// Returns a path of the request that is mapped to nothing in the caller's body, and what it is mapped to.
pub(crate) fn astray(body: &Value, sent: &Value, paths: &RequestPaths) -> Option<(String, String)> {
    let leads_nowhere = |path: String| {
        let written = paths.path_of(&path)?;
        // A function without parameters got an empty schema.
        let is_added = written.strip_suffix(".parameters").is_some_and(|tool| at(body, tool).is_some());
        (at(body, &written).is_none() && !is_added).then_some((path, written))
    };
    paths_of(sent).into_iter().find_map(leads_nowhere)
}

/// Returns every path of a request, down to the members of content parts.
fn paths_of(sent: &Value) -> Vec<String> {
    fn walk(value: &Value, path: &str, depth: usize, paths: &mut Vec<String>) {
        paths.push(path.to_owned());
        if depth == MAX_DEPTH {
            return;
        }
        match value {
            Value::Object(map) => {
                // A path cannot name other keys.
                let is_name = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                for (key, value) in map.iter().filter(|(key, _)| is_name(key)) {
                    walk(value, &format!("{path}.{key}"), depth + 1, paths);
                }
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(at, value)| walk(value, &format!("{path}[{at}]"), depth + 1, paths));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut paths = Vec::new();
    for (key, value) in sent.as_object().expect("an object") {
        walk(value, key, 0, &mut paths);
    }
    paths
}
