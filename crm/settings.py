"""All settings of Earshot, from the environment only. A malformed value stops the start, by name."""

import ipaddress
import json
import os
import re
import secrets
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from crm import pooled

BASE_DIR = Path(__file__).resolve().parent.parent


# --- Reading the environment


def malformed(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}={value!r} is not usable: it should be {wanted}.")


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_int(name: str, default: int, low: int = 0, high: int = 2**31 - 1) -> int:
    value = env_str(name, str(default))
    wanted = f"a whole number from {low} to {high}"
    if not value.isascii() or not value.isdecimal():
        raise malformed(name, value, wanted)
    if not low <= int(value) <= high:
        raise malformed(name, value, wanted)
    return int(value)


def env_bool(name: str, default: bool) -> bool:
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    value = env_str(name, "1" if default else "0")
    if value.lower() not in words:
        raise malformed(name, value, "1 or 0")
    return words[value.lower()]


def env_list(name: str, default: list[str]) -> list[str]:
    """Comma-separated words."""
    return [word.strip() for word in env_str(name).split(",") if word.strip()] or default


def env_url(name: str, default: str, schemes: tuple[str, ...]) -> str:
    value = env_str(name, default)
    try:
        parts = urlsplit(value)
        usable = parts.scheme in schemes and (parts.port is None or parts.port >= 0)
    except ValueError:
        usable = False
    if value and not usable:
        raise malformed(
            name,
            hide_password(value),
            "an address that begins with " + " or ".join(f"{s}://" for s in schemes),
        )
    return value


def hide_password(url: str) -> str:
    """An address as it may be shown in an error."""
    head, at, tail = url.rpartition("@")
    return f"{head.split('://')[0]}://…@{tail}" if at else url


def env_folder(name: str, default: Path) -> Path:
    """A folder of ours, made if it is not there."""
    folder = Path(env_str(name, str(default))).expanduser().absolute()
    try:
        folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        raise malformed(name, str(folder), "a folder that this user may make and write into")
    return folder


def env_hosts(name: str, default: list[str]) -> list[str]:
    """Names of hosts, comma-separated; a leading dot means all below, a star means any."""
    words = env_list(name, default)
    for word in words:
        if not re.fullmatch(r"\*|\.?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]", word):
            raise malformed(name, word, "names such as care.example.com, without scheme, port and path")
    return words


def env_origins(name: str, default: list[str]) -> list[str]:
    """Origins, comma-separated."""
    words = env_list(name, default)
    for word in words:
        if not re.fullmatch(r"https?://(\*\.)?[A-Za-z0-9_.:\[\]-]+", word):
            raise malformed(name, word, "origins such as https://care.example.com, without path")
    return words


def env_networks(name: str) -> list[str]:
    """Addresses or networks such as 10.0.0.0/8, comma-separated."""
    words = env_list(name, [])
    for word in words:
        try:
            ipaddress.ip_network(word, strict=False)
        except ValueError as error:
            raise malformed(name, word, "an IP address or network such as 10.0.0.0/8") from error
    return words


def env_secret(name: str, kept_in: Path | None, shortest: int = 1) -> str:
    """A secret from the environment; else made once and kept in a file only we can read."""
    if value := env_str(name):
        if len(value) < shortest:  # not shown: it may be a secret all the same
            raise ImproperlyConfigured(
                f"{name} is not usable: it should be a long random text of at least {shortest} characters."
            )
        return value
    if kept_in is None:
        raise ImproperlyConfigured(
            f"{name} is not set: it should be a long random text, the same at every start."
        )
    if not kept_in.exists():
        keep_secret(kept_in, secrets.token_urlsafe(48 if name == "SECRET_KEY" else 12))
    return kept_in.read_text().strip()


def keep_secret(path: Path, value: str) -> None:
    """Write whole or not at all: two processes that start at once must agree on one secret."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(value + "\n")
    draft.chmod(0o600)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


# --- Where things are

HOME = env_folder("EARSHOT_HOME", BASE_DIR / ".earshot")
HOST = env_str("HOST", "127.0.0.1")
PORT = env_int("PORT", 8000, high=65535)
PUBLIC_URL = env_url("PUBLIC_URL", f"http://127.0.0.1:{PORT}/", ("http", "https")).rstrip("/") + "/"
PUBLIC = urlsplit(PUBLIC_URL)
if not PUBLIC.hostname:
    raise malformed("PUBLIC_URL", env_str("PUBLIC_URL"), "an address such as https://care.example.com/")
HTTPS = PUBLIC.scheme == "https"

# The launcher tells each process what it is: web, conveyor, worker, simnet or command.
ROLE = env_str("EARSHOT_ROLE", "command")


def running_services() -> dict:
    """What the launcher wrote about the embedded services; empty when none run."""
    try:
        return json.loads((HOME / "services.json").read_text())
    except (OSError, ValueError):
        return {}


SERVICES = running_services()

# --- The house

DEBUG = env_bool("DEBUG", False)
OWN_DATABASE = bool(env_str("DATABASE_URL"))
SECRET_KEY = env_secret("SECRET_KEY", None if OWN_DATABASE else HOME / "secret_key", shortest=32)
# Earlier ones, the newest first: what they encrypted and signed still opens until `manage.py rotate_keys` has run.
SECRET_KEY_FALLBACKS = env_str("SECRET_KEY_FALLBACKS").split()
ALLOWED_HOSTS = env_hosts("ALLOWED_HOSTS", sorted({PUBLIC.hostname, "127.0.0.1", "localhost", "[::1]"}))
CSRF_TRUSTED_ORIGINS = env_origins("CSRF_TRUSTED_ORIGINS", [f"{PUBLIC.scheme}://{PUBLIC.netloc}"])
# Only these may say who the caller was (X-Forwarded-*); the launcher hands the list to the server.
TRUSTED_PROXIES = env_networks("TRUSTED_PROXIES")
WEB_PROCESSES = env_int("WEB_PROCESSES", 2, low=1, high=64)
WORKER_PROCESSES = env_int("WORKER_PROCESSES", 1, low=1, high=64)

ROOT_URLCONF = "crm.urls"
ASGI_APPLICATION = "crm.asgi.application"
AUTH_USER_MODEL = "crm.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    # Before ours, so that our admin can take away what these register there.
    "django.contrib.auth",
    "allauth",
    "allauth.account",
    "crm.apps.CrmConfig",
    "routing.apps.RoutingConfig",
    "socialcare.apps.SocialcareConfig",
    "reports.apps.ReportsConfig",
    "django.contrib.admin",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
]

MIDDLEWARE = [
    "crm.sources.SourceMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "crm.views.viewing.ViewingMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- PostgreSQL and Redis

QUICK_THREADS = 2  # threads of the quick doors, each with a connection that it keeps
PAGE_THREADS = 4  # threads beside the loop of one web process
INTAKE_THREADS = 4  # connections the intake and the hub of that process may hold


def database(url: str) -> dict:
    """Django's view of postgres://user:password@host:port/name; ?host=/folder means a unix socket."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "earshot",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": options.pop("port", "") or str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


# Without services the address leads nowhere, so that check, makemigrations and help still work.
NOWHERE = f"postgres://earshot@/earshot?host={HOME}/no-services-running"
DATABASE_URL = env_url("DATABASE_URL", SERVICES.get("database_url", NOWHERE), ("postgres", "postgresql"))
DATABASES = {"default": database(DATABASE_URL)}
DATABASES["default"]["OPTIONS"].setdefault("application_name", f"earshot {ROLE}")
if ROLE == "web":
    # Persistent connections fail under Django's ASGI handler: pool them, and answer 503 after five seconds.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 1,
        "max_size": PAGE_THREADS + QUICK_THREADS + INTAKE_THREADS + 4,
        "timeout": 5,
        "connection_class": pooled.Connection,
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
if ROLE == "conveyor":
    # One connection says the same thirty statements all day: planning them anew was a seventh of the database's work.
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 1

REDIS_URL = env_url("REDIS_URL", SERVICES.get("redis_url", ""), ("redis", "rediss", "unix"))
HUB_IN_MEMORY = False  # tests: pushes stay inside the process
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}  # login goes on without Redis
SESSION_ENGINE = "crm.sessions"

# --- Background work

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2}
CELERY_BEAT_SCHEDULE_FILENAME = str(HOME / "beat")
CELERY_BEAT_SCHEDULE = {
    # Sends, retries and due times a lost task left behind are found in PostgreSQL.
    "sweep": {"task": "crm.tasks.sweep", "schedule": 10.0, "options": {"expires": 10}},
    # Mailboxes and networks that tell nobody are asked for what is new, each in its own time.
    "polls": {"task": "crm.tasks.poll", "schedule": 5.0, "options": {"expires": 5}},
    # Clocks of tickets that moved are replayed; owners are warned before a promise is broken.
    "clocks": {"task": "crm.tasks.clocks", "schedule": 2.0, "options": {"expires": 2}},
    # Lines of the history are sealed, each with the one before it.
    "seal": {"task": "crm.tasks.seal", "schedule": 5.0, "options": {"expires": 5}},
    # Days that wait to be simulated, which a lost task left behind.
    "simulations": {"task": "routing.tasks.sweep", "schedule": 30.0, "options": {"expires": 30}},
    # The demo's simulated colleagues take their turn; nothing while they are switched off.
    "colleagues": {"task": "reports.tasks.colleagues", "schedule": 2.0, "options": {"expires": 2}},
    # The simulated networks are told where to deliver; nothing without SIMNET_URL.
    "callbacks": {"task": "reports.tasks.callbacks", "schedule": 30.0, "options": {"expires": 30}},
    # New customers who are surely known already are merged, only if the owner said how sure that must be.
    "merge_sure": {"task": "crm.tasks.merge_sure", "schedule": 300.0, "options": {"expires": 300}},
    # What retention says is over goes.
    "purge": {"task": "crm.tasks.purge", "schedule": 3600.0, "options": {"expires": 3600}},
}

# --- People and doors

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "crm.accounts.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = None
ACCOUNT_REAUTHENTICATION_TIMEOUT = (
    600  # seconds for which a password that was said is good for changes of rights
)

# Authentication, rights, parsers and answers are said by crm.api.base.Door: named here they would import in a circle.
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Earshot",
    "DESCRIPTION": "Customers, conversations, tickets, routing and reports of one contact centre.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "crm.api.schema.add_plain_doors",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Several nouns have a state or status of their own: each list gets its own name.
    "ENUM_NAME_OVERRIDES": {
        "ChannelKindEnum": "crm.choices.ChannelKind",
        "MailSecurityEnum": "crm.choices.MailSecurity",
        "CodeKindEnum": "crm.choices.CodeKind",
        "TicketKindEnum": "crm.choices.TicketKind",
        "LinkKindEnum": "crm.choices.LinkKind",
        "ErasureWayEnum": "crm.choices.ErasureWay",
        "RetentionKindEnum": "crm.choices.RetentionKind",
        "ClockKindEnum": "crm.choices.ClockKind",
        "JoiningKindEnum": "routing.choices.JoiningKind",
        "WorkKindEnum": "routing.choices.WorkKind",
        "AddressKindEnum": "crm.services.customers.ADDRESS_KINDS",
        "AudienceEnum": "crm.choices.Audience",
        "AnswerAudienceEnum": "crm.choices.ANSWERED",
        "ImportNounEnum": "crm.choices.ImportNoun",
        "RowOutcomeEnum": "crm.choices.RowOutcome",
        "ImportStateEnum": "crm.choices.ImportState",
        "ExportStateEnum": "crm.choices.ExportState",
        "DeliveryOutcomeEnum": "crm.choices.DeliveryOutcome",
        "DeliveryStateEnum": "crm.choices.DeliveryState",
        "MessageStateEnum": "crm.choices.MessageState",
        "AwayStateEnum": "routing.choices.AWAY_CHOICES",
        "ScheduledKindEnum": "routing.choices.Scheduled",
        "PresenceStateEnum": "routing.choices.PresenceState",
        "InteractionStatusEnum": "crm.choices.InteractionStatus",
        "TicketStatusEnum": "crm.choices.TicketStatus",
        "WorkItemStatusEnum": "routing.choices.WorkItemStatus",
        "AssignmentStatusEnum": "routing.choices.AssignmentStatus",
        "MentionStatusEnum": "socialcare.choices.MentionStatus",
        "ListNounEnum": "crm.api.lists.NOUNS",
        "FieldNounEnum": "crm.choices.FieldNoun",
        "BulkStateEnum": "crm.choices.BulkState",
        "BulkOutcomeEnum": "crm.choices.BulkOutcome",
    },
}

# --- Browsers

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
# Subdomains and preload lists are for the owner of the domain to decide, not for one program on it.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024


def static_version() -> str:
    """Twelve digits that change whenever one of our static files, or a package that brings some, does."""
    seen = sha256()
    for package in ("django", "djangorestframework", "drf-spectacular-sidecar"):
        seen.update(f"{package} {version(package)}".encode())
    for file in sorted((BASE_DIR / "static").rglob("*.*")):
        seen.update(file.name.encode() + file.read_bytes())
    return seen.hexdigest()[:12]


STATIC_URL = f"/static/{static_version()}/"  # crm.assets serves it
STATICFILES_DIRS = [folder for folder in [BASE_DIR / "static"] if folder.is_dir()]
STATIC_ROOT = HOME / "static"
MEDIA_ROOT = HOME / "media"
MEDIA_URL = "/files/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

# --- Mail of our own (password resets); without a host it lies in the home

EMAIL_HOST = env_str("EMAIL_HOST")
EMAIL_PORT = env_int("EMAIL_PORT", 587, low=1, high=65535)
EMAIL_HOST_USER = env_str("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env_str("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", True)
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = str(HOME / "mail")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'filebased'}.EmailBackend"
DEFAULT_FROM_EMAIL = env_str("DEFAULT_FROM_EMAIL", f"earshot@{PUBLIC.hostname}")
if "@" not in DEFAULT_FROM_EMAIL:
    raise malformed("DEFAULT_FROM_EMAIL", DEFAULT_FROM_EMAIL, "an address such as care@example.com")

# --- The work itself

OFFER_SECONDS_CALL = env_int("OFFER_SECONDS_CALL", 15, low=1)  # s, how long an offer rings at an agent
OFFER_SECONDS_CHAT = env_int("OFFER_SECONDS_CHAT", 30, low=1)  # s
OFFER_SECONDS_MESSAGE = env_int("OFFER_SECONDS_MESSAGE", 60, low=1)  # s
OFFER_SECONDS_SOCIAL = env_int("OFFER_SECONDS_SOCIAL", 60, low=1)  # s
OFFER_SECONDS_MAIL = env_int("OFFER_SECONDS_MAIL", 120, low=1)  # s
JOIN_WINDOW = env_int("JOIN_WINDOW", 14_400)  # s, an item without a thread joins its author's newest one
# % of certainty from which on customers are merged by themselves; 0: people decide, always.
AUTO_MERGE_PERCENT = env_int("AUTO_MERGE_PERCENT", 0, high=100)
REOPEN_DAYS = env_int("REOPEN_DAYS", 14)  # days, a solved ticket opens again when its customer writes
SILENT_SECONDS = env_int("SILENT_SECONDS", 40, low=1)  # s without a heartbeat until an agent counts as gone
# s without a heartbeat until live work, and other work, is taken from an agent and given to others
OWNER_SILENT_LIVE_SECONDS = env_int("OWNER_SILENT_LIVE_SECONDS", 120, low=1)
OWNER_SILENT_SECONDS = env_int("OWNER_SILENT_SECONDS", 900, low=1)
SEND_TIMEOUT = env_int("SEND_TIMEOUT", 10, low=1)  # s a network may take to answer a post
STREAM_RETENTION_HOURS = env_int("STREAM_RETENTION_HOURS", 48, low=1)  # hours a stream can be caught up on
MASK_ON_ARRIVAL = env_list("MASK_ON_ARRIVAL", ["card", "iban"])  # what is masked in words that come in
if wrong := set(MASK_ON_ARRIVAL) - {"card", "iban", "email", "phone", "none"}:
    raise malformed("MASK_ON_ARRIVAL", ",".join(sorted(wrong)), "some of card, iban, email, phone; or none")
SIGNATURE_TOLERANCE = env_int("SIGNATURE_TOLERANCE", 300, low=1)  # s a signature of a delivery may be old
CONVEYOR_POLL_MS = env_int("CONVEYOR_POLL_MS", 500, low=1)  # ms between looks when no bell rings
CONVEYOR_WINDOW_MS = env_int("CONVEYOR_WINDOW_MS", 5)  # ms in which bells are gathered into one batch
LEADER_LOCK = env_bool("LEADER_LOCK", True)  # one conveyor at a time
SIMNET_URL = env_url("SIMNET_URL", SERVICES.get("simnet_url", ""), ("http", "https"))

# --- The demo

DEMO = env_bool("DEMO", False)
DEMO_PUBLIC = env_bool("DEMO_PUBLIC", False)
if DEMO and not DEMO_PUBLIC and not (is_loopback(HOST) and is_loopback(PUBLIC.hostname)):
    raise ImproperlyConfigured(
        f"DEMO=1 has known logins and is refused on {HOST!r} ({PUBLIC_URL}): use a loopback address, "
        "DEMO=0, or DEMO_PUBLIC=1 if strangers may enter.",
    )
DEMO_PASSWORD = env_secret("DEMO_PASSWORD", HOME / "demo_password") if DEMO else ""

# --- Log: one JSON object a line, on stderr

LOG_LEVEL = env_str("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise malformed("LOG_LEVEL", LOG_LEVEL, "DEBUG, INFO, WARNING, ERROR or CRITICAL")
OURS_TOO = {"handlers": ["stderr"], "propagate": False}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "crm.logs.JsonLines"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": OURS_TOO,
        "django.server": OURS_TOO,
        "uvicorn": OURS_TOO,
        "uvicorn.error": OURS_TOO,
        "uvicorn.access": {"level": "WARNING"},
        # At INFO each of these writes a line per call.
        "httpx": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
    },
}
