"""Resumes in the JSON Resume model."""
