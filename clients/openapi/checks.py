"""What schemathesis checks beyond its own; it loads this file as its hooks."""

import re

import schemathesis

# Requests that conform and are refused all the same, for what no schema can say: the parameter and the code of the error.
BEYOND_SCHEMAS = [
    (r"messages|input", None),  # All of it is left out, such as empty messages.
    (r"tool_choice", None),  # It names a tool that is not among the tools.
    (r"tools\[\d+\]\.parameters", "invalid_function_parameters"),  # With `strict`, a schema has to be of a kind.
    (r"text\.format\.schema", "invalid_json_schema"),
    (r"tools\[\d+\]\..*", "unknown_parameter"),  # Hosted tools are the backend's, and so is what they take.
    (r"previous_response_id", "previous_response_not_found"),
    (r"response_id|after", None),  # Nothing can be cancelled; a page begins after an item that is there.
    (r".*\.image_url", "invalid_value"),  # The data are no picture.
    (r"", "invalid_encrypted_content"),  # Only the backend can have written it.
]


@schemathesis.check
def conforming_requests_are_accepted(context, response, case):
    """A request that conforms is refused for what no schema can say, or not at all."""
    if response.status_code != 400 or not case.meta.generation.mode.is_positive:
        return
    error = response.json()["error"]
    beyond = any(
        re.fullmatch(param, error["param"] or "", re.DOTALL) and code == error["code"] for param, code in BEYOND_SCHEMAS
    )
    assert beyond, f"refused, though it conforms: {error}"


@schemathesis.check
def errors_are_of_openais_shape(context, response, case):
    """Every error is an object with message, type, param and code, whatever the description says of its status."""
    if response.status_code >= 400 and response.request.method != "HEAD" and "/health" not in case.path:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["message"], error
