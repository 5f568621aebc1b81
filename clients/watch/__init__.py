"""The watch: compares what the official client sends with its recording, and with what the program sends.

`official.py` and `ours.py` run the two clients against the simulated backend through a `Tap`, which records the bytes;
`wire.py` reads requests from the bytes, `outline.py` masks what varies, and `compare.py` finds the differences, except
those of `known.py`. `scripts/watch` is the command, and `clients/codex-cli/test_watch.py` runs it with the pinned version.
"""
