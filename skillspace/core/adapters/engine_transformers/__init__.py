"""The Engine port by transformers: a Hugging Face causal model in this process."""

from skillspace.core.adapters.engine_transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
