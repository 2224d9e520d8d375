from tests.served import serve, served  # noqa: F401
