"""Tests of the scripts that make the bundled model."""
