"""Settings of a test run: a fast hasher, pushes in memory, tasks at once."""

import os
import tempfile

os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789abcdef" * 4)
os.environ["EARSHOT_HOME"] = tempfile.mkdtemp(prefix="earshot-tests-")
os.chmod(os.environ["EARSHOT_HOME"], 0o711)  # the user who runs PostgreSQL must reach its data
# A developer's own environment must not change what the tests see.
for name in (
    "DATABASE_URL",
    "REDIS_URL",
    "PUBLIC_URL",
    "DEMO",
    "DEBUG",
    "EARSHOT_ROLE",
    "HOST",
    "PORT",
    "SIMNET_URL",
):
    os.environ.pop(name, None)

from crm.settings import *  # noqa: E402, F403 - the suite's own on top of the product's

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
HUB_IN_MEMORY = True
LEADER_LOCK = False
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
