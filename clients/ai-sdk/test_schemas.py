from node import run


def test_everything_that_the_translation_writes_is_taken_by_the_schemas():
    done = run("ai-sdk", "--test", "--test-reporter=dot", "schemas.test.mjs")
    assert done.returncode == 0, done.stdout + done.stderr
