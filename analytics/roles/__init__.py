"""The four roles. Each module has `app(settings)`, and `create()` for an ASGI server of the operator's choice."""
