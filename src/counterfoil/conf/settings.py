"""Django's settings, from the environment (:mod:`counterfoil.platform.config`), safe by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from counterfoil.conf.adapters import ADAPTERS
from counterfoil.platform import config as _config
from counterfoil.platform.database import django_databases

_env = _config.current()
_package = Path(__file__).resolve().parent.parent

# -- what this is made of --------------------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "ninja",
    "django_htmx",
    "django_cotton.apps.SimpleAppConfig",
    "pgtrigger",
    "pghistory",
    "procrastinate.contrib.django",
    "counterfoil.platform",
    "counterfoil.companies",
    "counterfoil.ledger",
    "counterfoil.catalog",
    "counterfoil.tax",
    "counterfoil.quotes",
    "counterfoil.agreements",
    "counterfoil.orders",
    "counterfoil.procurement",
    "counterfoil.inventory",
    "counterfoil.usage",
    "counterfoil.billing",
    "counterfoil.assets",
    "counterfoil.matching",
    "counterfoil.accounting",
    "counterfoil.web",
]

MIDDLEWARE = [
    "counterfoil.platform.security.SecurityHeaders",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "counterfoil.web.middleware.PlainAddresses",
    "counterfoil.web.middleware.SignInRequired",
    "counterfoil.web.middleware.MspTimeZone",
    "counterfoil.web.middleware.RefusalPages",
]

ROOT_URLCONF = "counterfoil.conf.urls"
WSGI_APPLICATION = "counterfoil.conf.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PROCRASTINATE_IMPORT_PATHS = ["counterfoil.flows.tasks"]

# -- where and who ---------------------------------------------------------------------------------

SECRET_KEY = _env.secret_key or _config.load_secret_key(_env.data_dir)
DEBUG = _env.debug
ALLOWED_HOSTS = list(_env.hosts)
CSRF_TRUSTED_ORIGINS = [_env.origin] if _env.origin else []

# -- data ------------------------------------------------------------------------------------------

DATABASES: dict[str, Any] = django_databases(_env)

CACHES = {
    # Sign-in rate limits count in each worker by itself: with n workers, n times as many tries, still few.
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counterfoil"},
}

USE_TZ = True
TIME_ZONE = "UTC"  # the MSP's own time zone is data
LANGUAGE_CODE = "en-us"
USE_I18N = True

# -- pages -----------------------------------------------------------------------------------------

_loaders = [
    "django_cotton.cotton_loader.Loader",
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [_package / "web" / "templates"],
        "OPTIONS": {
            "loaders": _loaders if DEBUG else [("django.template.loaders.cached.Loader", _loaders)],
            "builtins": ["django_cotton.templatetags.cotton", "counterfoil.web.templatetags.counterfoil"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "counterfoil.web.navigation.context",
            ],
        },
    }
]

STATIC_URL = "static/"
STATIC_ROOT = _env.data_dir / "static" if _env.serving else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # `counterfoil serve` collects the files into the data folder, compressed and named by their content. Everything
    # else (tests, Django's own server) takes them from where they lie.
    "staticfiles": {
        "BACKEND": "counterfoil.platform.static_files.ContentNamedFiles"
        if _env.serving
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not _env.serving
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_AUTOREFRESH = DEBUG

# -- sign-in ---------------------------------------------------------------------------------------

AUTH_USER_MODEL = "platform.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "counterfoil.platform.security.ClosedSignup"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"  # the owner vouches for an address by making the account
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if _env.tls else "http"
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "reset_password": "20/m/ip,5/m/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
    "reauthenticate": "10/m/user",
}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_ISSUER = "Counterfoil"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _env.tls  # browsers allow it on localhost alone

# -- safety ----------------------------------------------------------------------------------------

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _env.tls
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = _env.tls
CSRF_USE_SESSIONS = False
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if _env.tls else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
SECURE_SSL_REDIRECT = False  # the port that speaks plain HTTP is the proxy's, or not there at all
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if _env.behind_proxy:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ALLAUTH_TRUSTED_PROXY_COUNT = 1

DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000

COUNTERFOIL_ADAPTERS = ADAPTERS

# -- mail and logging ------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = SERVER_EMAIL = _env.mail_from
EMAIL_SUBJECT_PREFIX = ""
if _env.mail:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST, EMAIL_PORT = _env.mail.host, _env.mail.port
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _env.mail.user, _env.mail.password
    EMAIL_USE_SSL = _env.mail.tls and _env.mail.port == 465
    EMAIL_USE_TLS = _env.mail.tls and not EMAIL_USE_SSL
    EMAIL_TIMEOUT = 20
else:
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "counterfoil": {"level": _env.log_level},
        "django": {"handlers": [], "level": "WARNING"},
        "procrastinate": {"level": "WARNING"},
    },
}
