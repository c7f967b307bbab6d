# What the API tester has to know beyond the document: NDJSON, one value a line.
import json

import schemathesis
from schemathesis import SerializationContext  # noqa: F401  (in the signature of serializers)


@schemathesis.serializer("application/x-ndjson")
def write_lines(ctx, value):
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@schemathesis.deserializer("application/x-ndjson")
def read_last_line(ctx, response):
    return json.loads(response.content.decode().rstrip("\n").rsplit("\n", 1)[-1])
