"""The model list with openai-python."""

import openai
import pytest
from exercised import exercises
from harness import MODEL


@exercises("models")
def test_list_holds_what_the_account_offers(client):
    names = [model.id for model in client.models.list()]
    assert MODEL in names and len(names) == len(set(names))


@exercises("models")
def test_retrieve(client):
    assert client.models.retrieve(MODEL).id == MODEL


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="no-such-model"):
        client.models.retrieve("no-such-model")
