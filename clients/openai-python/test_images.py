"""The Images API with openai-python."""

import base64
import struct
import zlib

import openai
import pytest

PNG = b"\x89PNG\r\n\x1a\n"


def picture(side=2):
    """A white PNG."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + b"\xff" * 3 * side for _ in range(side)))
    return PNG + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def sent(backend, name):
    return [request["body"] for request in backend.control("GET", "requests")["requests"] if request["path"].endswith(name)]


def test_generate(client):
    images = client.images.generate(model="gpt-image-1", prompt="a fox", size="1024x1024")
    assert base64.b64decode(images.data[0].b64_json).startswith(PNG)
    assert images.created and images.usage.total_tokens == images.usage.input_tokens + images.usage.output_tokens
    assert (images.output_format, images.quality, images.size) == ("png", "low", "1254x1254")


def test_several(client, backend):
    raw = client.images.with_raw_response.generate(prompt="a fox", n=2, response_format="url", style="vivid")
    images = raw.parse()
    assert [image.url.startswith("data:image/png;base64,") for image in images.data] == [True, True]
    assert "style" in raw.headers["x-codex-proxy-dropped"]
    assert len(sent(backend, "/images/generations")) == 2


@pytest.mark.parametrize("several", [False, True])
def test_edit(client, backend, several):
    files = [("a.png", picture(2)), ("b.png", picture(3))]
    images = client.images.edit(image=files if several else files[0], prompt="a hat", n=1, size="auto")
    assert base64.b64decode(images.data[0].b64_json).startswith(PNG)
    (body,) = sent(backend, "/images/edits")
    expected = [base64.b64encode(data).decode() for _, data in (files if several else files[:1])]
    assert body["images"] == [{"image_url": f"data:image/png;base64,{data}"} for data in expected]
    assert body["prompt"] == "a hat"


def test_refusals(impatient):
    with pytest.raises(openai.BadRequestError) as refused:
        impatient.images.edit(image=picture(), mask=picture(), prompt="a hat")
    assert refused.value.param == "mask"
    with pytest.raises(openai.RateLimitError) as limited:
        impatient.images.generate(prompt="[sim:429-usage] a fox")
    assert limited.value.code == "usage_limit_reached"
