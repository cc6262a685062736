"""Conversations, messages, the reply pipeline and the chat pages."""
