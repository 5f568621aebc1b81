//! Settings that depend on the model, clamped to its profile (docs/backend.md §2.5, §2.7, §5.2).

use crate::notice::Notices;
use crate::profile::{Options, Profile};
use crate::request::params::INCLUDABLE;
use crate::responses::{Format, ResponsesRequest};

/// Normalises every setting that depends on the model's profile.
pub(super) fn normalise_settings(
    request: &mut ResponsesRequest,
    profile: &Profile,
    options: &Options,
    notices: &mut Notices,
) {
    let lite = request.is_lite();
    clamp_effort(request, profile, options, notices);
    drop_unsupported_summary(request, profile, notices);
    drop_context_outside_lite(request, lite, notices);
    drop_unsupported_verbosity(request, profile, notices);
    normalise_service_tier(request, profile, options, notices);
    keep_known_includes(request, notices);
    if matches!(request.text.format, Some(Format::Text)) {
        request.text.format = None;
    }
    if lite {
        // The Lite shape has neither (docs/backend.md §2.7, §2.8).
        request.parallel_tool_calls = Some(false);
        request.instructions = request.instructions.take().filter(|instructions| !instructions.is_empty());
    } else {
        // A legacy reply can hold one call.
        if request.local.legacy_functions {
            request.parallel_tool_calls = Some(false);
        }
        // Some models have answered a request without the key with a 400 (docs/backend.md §2.5).
        request.instructions.get_or_insert_default();
    }
}

/// Replaces an effort that the model does not support: the backend rejects it, or hangs.
fn clamp_effort(request: &mut ResponsesRequest, profile: &Profile, options: &Options, notices: &mut Notices) {
    let Some(wanted) = request.reasoning.effort.take().or_else(|| options.effort.clone()) else {
        return;
    };
    let parameter = request.local.name_of("reasoning.effort");
    request.reasoning.effort = profile.nearest_effort(&wanted);
    match &request.reasoning.effort {
        None => notices.dropped(parameter, format!("the model does not support the effort `{wanted}`")),
        Some(sent) if sent.wire() != wanted.as_str() => {
            notices.clamped(parameter, format!("sent `{wanted}` as `{}`", sent.wire()));
        }
        Some(_) => {}
    }
}

/// Drops the summary if the model has none. The CLI's settings say `none` for no summary (docs/backend.md §2.4).
fn drop_unsupported_summary(request: &mut ResponsesRequest, profile: &Profile, notices: &mut Notices) {
    request.reasoning.summary.take_if(|summary| summary == "none");
    if !profile.summaries && request.reasoning.summary.take().is_some() {
        notices.dropped(request.local.name_of("reasoning.summary"), "not supported by the model");
    }
}

fn drop_context_outside_lite(request: &mut ResponsesRequest, lite: bool, notices: &mut Notices) {
    if !lite && request.reasoning.context.take().is_some() {
        notices.dropped("reasoning.context", "only allowed in the Lite shape");
    }
}

fn drop_unsupported_verbosity(request: &mut ResponsesRequest, profile: &Profile, notices: &mut Notices) {
    if !profile.verbosity && request.text.verbosity.take().is_some() {
        notices.dropped(request.local.name_of("text.verbosity"), "not supported by the model");
    }
}

/// Normalises the service tier. User interfaces call `priority` `fast`; `auto` and `default` have no effect; the
/// backend answers a tier that the model does not list with a 400.
fn normalise_service_tier(request: &mut ResponsesRequest, profile: &Profile, options: &Options, notices: &mut Notices) {
    let Some(wanted) = request.service_tier.take().or_else(|| options.service_tier.clone()) else {
        return;
    };
    let tier = if wanted == "fast" { "priority" } else { &*wanted };
    if profile.has_tier(tier) {
        request.service_tier = Some(tier.to_owned());
    } else if !matches!(tier, "auto" | "default" | "") {
        notices.dropped("service_tier", format!("the model does not offer the tier `{wanted}`"));
    }
}

fn keep_known_includes(request: &mut ResponsesRequest, notices: &mut Notices) {
    request.include.retain(|value| {
        let known = INCLUDABLE.contains(&&**value);
        if !known {
            notices.dropped("include[]", format!("unknown value `{value}`"));
        }
        known
    });
}
