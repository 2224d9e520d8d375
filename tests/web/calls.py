"""What the tests of the operator's API share: a definition to send, the shape of an instant, a call that is refused."""

import re

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HEARTBEAT = {"name": "Nightly", "mode": "heartbeat", "schedule": {"every": 60}, "graceSeconds": 30}


async def refused(served, status, field, method, path, body=None):
    """Check that a call is refused, with its field; return the words."""
    answer = await served.api(method, path, body, status)
    assert answer.get("field") == field, answer
    if status == 400:
        assert answer["error"] == "Invalid request"
        return answer["message"]
    return answer["error"]
