use codex_upstream::{Catalogue, CatalogueError, DEFAULT_VERSION, Visibility};

#[test]
fn only_the_slug_is_needed() {
    let catalogue = Catalogue::parse(br#"{"models":[{"slug":"m"},{"no":"slug"},7,{"slug":""}]}"#).unwrap();
    let [model] = catalogue.models() else { panic!("{catalogue:?}") };
    assert_eq!(model.slug, "m");
    assert_eq!(model.visibility, Visibility::List);
    assert!(model.efforts.is_empty() && model.tiers.is_empty() && !model.lite);
    assert_eq!((model.verbosity, model.summaries, model.minimal_client_version.as_deref()), (None, None, None));
    assert!(model.facts().is_empty());
}

#[test]
fn the_documented_entry_is_read() {
    let entry =
        br#"{"models":[{"slug":"gpt-5.6-terra","display_name":"GPT-5.6-Terra","default_reasoning_level":"medium",
        "supported_reasoning_levels":[{"effort":"low","description":"x"},{"effort":"max"}],"visibility":"hide",
        "minimal_client_version":[0,99,0],"priority":2,"service_tiers":[{"id":"priority","name":"Fast"}],
        "upgrade":{"model":"gpt-6","migration_markdown":""},"supports_reasoning_summaries":true,
        "supports_reasoning_summary_parameter":false,"support_verbosity":true,"default_verbosity":"low",
        "input_modalities":["text","image"],"supports_parallel_tool_calls":true,"context_window":272000,
        "max_context_window":872000,"use_responses_lite":true,"available_in_plans":["plus"],"new_key":{"kept":1}}]}"#;
    let catalogue = Catalogue::parse(entry).unwrap();
    let model = catalogue.find("gpt-5.6-terra").unwrap();
    assert_eq!(model.efforts, ["low", "max"]);
    assert_eq!(model.tiers, ["priority"]);
    assert_eq!(model.minimal_client_version.as_deref(), Some("0.99.0"));
    assert_eq!((model.verbosity, model.summaries, model.lite), (Some(true), Some(false), true));
    assert_eq!((model.context_window, model.max_context_window), (Some(272_000), Some(872_000)));
    assert_eq!((model.visibility.clone(), model.upgrade.as_deref()), (Visibility::Hide, Some("gpt-6")));
    assert_eq!(model.facts()["context_length"], 272_000);
    assert!(!model.facts().contains_key("max_output_tokens"));
    assert_eq!(model.raw["new_key"]["kept"], 1);
    assert_eq!(catalogue.listed().count(), 0);
}

#[test]
fn wrong_types_are_unknown_rather_than_errors() {
    let odd = br#"{"models":[{"slug":"m","priority":"1","visibility":"secret","supported_reasoning_levels":"low",
        "service_tiers":[1,{"id":2}],"minimal_client_version":7,"context_window":-1,"upgrade":"x"}]}"#;
    let catalogue = Catalogue::parse(odd).unwrap();
    let model = &catalogue.models()[0];
    assert_eq!(model.visibility, Visibility::Other("secret".to_owned()));
    assert_eq!((model.efforts.len(), model.tiers.len(), model.context_window), (0, 0, None));
}

#[test]
fn the_older_shape_is_read_too() {
    let catalogue = Catalogue::parse(br#"{"data":[{"id":"b","priority":2},{"id":"a","priority":1}]}"#).unwrap();
    let slugs: Vec<_> = catalogue.listed().map(|model| model.slug.as_str()).collect();
    assert_eq!(slugs, ["a", "b"]);
}

#[test]
fn invalid_catalogues_are_rejected() {
    assert_eq!(Catalogue::parse(b"<html>"), Err(CatalogueError::NotJson));
    for body in ["{}", "[]", "null", r#"{"models":{}}"#] {
        assert_eq!(Catalogue::parse(body.as_bytes()), Err(CatalogueError::NoModels), "{body}");
    }
}

#[test]
fn the_built_in_list_is_the_captured_one_and_then_the_seven() {
    let built_in = Catalogue::built_in();
    let slugs: Vec<_> = built_in.models().iter().map(|model| model.slug.as_str()).collect();
    let captured = [
        "gpt-6.2-sol",
        "gpt-6.2-astra",
        "gpt-6.1-terra",
        "gpt-6.1-sol",
        "gpt-6-astra",
        "gpt-6-sol",
        "gpt-6-luna",
        "gpt-5.6-sol",
        "gpt-5.6-terra",
        "gpt-5.6-luna",
        "gpt-daybreak-blue-latest",
        "gpt-daybreak-red-latest",
        "gpt-5.5",
        "codex-auto-review",
    ];
    let promised = [
        "gpt-5.1",
        "gpt-5.1-codex-max",
        "gpt-5.1-codex-mini",
        "gpt-5.2",
        "gpt-5.2-codex",
        "gpt-5.3-codex",
        "gpt-5.3-codex-spark",
    ];
    assert_eq!(slugs, [&captured[..], &promised].concat());
    let unlisted: Vec<_> = built_in.models().iter().filter(|model| model.visibility != Visibility::List).collect();
    assert!(unlisted.iter().all(|model| model.visibility == Visibility::Hide), "{unlisted:?}");
    assert_eq!(unlisted.len(), 3);
    let lite: Vec<_> = built_in.models()[..14].iter().filter(|model| !model.lite).map(|m| m.slug.as_str()).collect();
    assert_eq!(lite, ["gpt-5.5"]);
}

/// The table of `docs/backend.md §5.4`.
#[test]
fn the_built_in_list_is_the_documented_one() {
    let document = include_str!("../../../../docs/backend.md");
    let (_, below) = document.split_once("\n### 5.4 Slugs\n").unwrap();
    let rows: Vec<Vec<&str>> = below
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let built_in = Catalogue::built_in();
    assert_eq!(rows.len(), built_in.models().len() - 7);
    for (row, model) in rows.iter().zip(built_in.models()) {
        let [slug, priority, default_effort, efforts, context, lite, version, notes] = row[..] else {
            panic!("{row:?}")
        };
        let hidden = if model.visibility == Visibility::List { "" } else { ", hidden" };
        assert_eq!((slug, priority), (model.slug.as_str(), format!("{}{hidden}", model.priority).as_str()));
        assert_eq!(Some(default_effort), model.default_effort.as_deref(), "{slug}");
        assert_eq!(efforts, format!("{} to {}", model.efforts[0], model.efforts[model.efforts.len() - 1]), "{slug}");
        let thousands = |tokens: Option<u64>| tokens.unwrap() / 1000;
        let windows = format!("{}, {}", thousands(model.context_window), thousands(model.max_context_window));
        assert_eq!((context, lite == "yes"), (windows.as_str(), model.lite), "{slug}");
        assert_eq!(Some(version), model.minimal_client_version.as_deref(), "{slug}");
        let upgrade = notes.strip_prefix("upgrade to ");
        assert_eq!(upgrade, model.upgrade.as_deref(), "{slug}");
        assert_eq!(notes.contains("no priority tier"), model.tiers.is_empty(), "{slug}");
        assert_eq!(
            notes.contains("not on free or k12 plans"),
            !model.plans.iter().any(|plan| plan == "free"),
            "{slug}"
        );
        assert!(model.websockets && model.input_modalities == ["text", "image"], "{slug}");
    }
}

#[test]
fn the_default_version_may_use_every_built_in_model() {
    let parts = |version: &str| version.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    for model in Catalogue::built_in().models() {
        let least = model.minimal_client_version.as_deref().unwrap_or("0.0.0");
        assert!(parts(least) <= parts(DEFAULT_VERSION), "{} needs {least}", model.slug);
    }
}
