"""Additional checks for schemathesis, which loads this file as its hooks."""

import re

import schemathesis

# Requests that match the schema but are rejected for other reasons: the parameter and the code of the error.
BEYOND_SCHEMAS = [
    (r"messages|input", None),  # Nothing remains, for example of empty messages.
    (r"tool_choice|function_call", None),  # It names an unknown tool.
    (r"(tools|functions)\[\d+\](\.function)?\.parameters", "invalid_function_parameters"),  # `strict` restricts the schema.
    (r"text\.format\.schema|response_format\.json_schema\.schema", "invalid_json_schema"),
    (r"tools\[\d+\](\..*)?", "unknown_parameter"),  # Hosted tools are the backend's, and so are their parameters.
    (r"previous_response_id", "previous_response_not_found"),
    (r"response_id|after|starting_after", None),  # No response can be cancelled; a page must start after an existing item.
    (r".*\.(image_url(\.url)?|content)(\[\d+\])?", "invalid_value"),  # The data is not an image.
    (r"", "invalid_encrypted_content"),  # Only the backend can write it.
]


@schemathesis.hook
def filter_case(context, case):
    """Leaves out bodies with an empty setting, which counts as absent whatever its type should be."""
    return not has_empty(case.body)


def has_empty(value):
    return isinstance(value, dict) and any(inner in ("", [], {}) or has_empty(inner) for inner in value.values())


@schemathesis.check
def conforming_requests_are_accepted(context, response, case):
    """Checks that a request that matches the schema is rejected only for one of these reasons."""
    if response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    error = response.json()["error"]
    beyond = any(
        re.fullmatch(param, error["param"] or "", re.DOTALL) and code == error["code"] for param, code in BEYOND_SCHEMAS
    )
    assert beyond, f"refused, though it conforms: {error}"


@schemathesis.check
def errors_are_of_openais_shape(context, response, case):
    """Checks that every error is an object with message, type, param and code, even if its status is not described."""
    if response.status_code >= 400 and response.request.method != "HEAD" and "/health" not in case.path:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"], error
