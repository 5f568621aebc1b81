//! Suggestions for mistyped names.

/// Returns the one of `names` that is most similar to `given`, if one is similar.
pub(crate) fn name<'a>(given: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong: `serv` and `sreve` are `serve`, and `stop` is not `status`.
    let most = given.chars().count().div_ceil(3);
    names
        .into_iter()
        .map(|name| (strsim::osa_distance(given, name), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let names = ["serve", "service", "status", "login", "logout"];
        for (given, meant) in [
            ("sreve", Some("serve")),
            ("serv", Some("serve")),
            ("servic", Some("service")),
            ("statsu", Some("status")),
            ("logn", Some("login")),
            ("stop", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(name(given, names), meant, "{given}");
        }
    }
}
