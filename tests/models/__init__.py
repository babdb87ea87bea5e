"""Tests of the bundled model as it ships."""
