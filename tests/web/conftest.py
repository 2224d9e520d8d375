from tests.served import serve, served  # noqa: F401
from tests.web.rig import rig  # noqa: F401
