"""The same as an ASGI app."""


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("HTTP only")
    headers = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
