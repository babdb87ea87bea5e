"""Conversations: sessions, prompts, answers."""
