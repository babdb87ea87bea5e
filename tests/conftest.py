"""What all tests share."""

from hypothesis import settings

pytest_plugins = ["tests.databases", "tests.spaces", "tests.tiny_models"]

# How long an example takes says something about the machine, not about the code.
settings.register_profile("skillspace", deadline=None)
settings.load_profile("skillspace")
