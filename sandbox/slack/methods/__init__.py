"""The methods of the Web API, a file a family; importing this package makes them known."""

from sandbox.slack.methods import auth, chat, conversations, files, history, reactions, users, views
from sandbox.slack.methods.registry import METHODS, call

__all__ = ["METHODS", "auth", "call", "chat", "conversations", "files", "history", "reactions", "users", "views"]
