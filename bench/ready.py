"""Importing this makes Django ready in the home that EARSHOT_HOME names; its services must be running."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

import django  # noqa: E402 - the settings are named first

django.setup()
