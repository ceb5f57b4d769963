"""A simulated Slack workspace on a socket: Web API, Socket Mode, and people who act and look."""

from sandbox.slack.answers import Answer
from sandbox.slack.asking import Wait
from sandbox.slack.messages import Message
from sandbox.slack.refusal import SandboxError
from sandbox.slack.simulator import SandboxSlack
from sandbox.slack.workspace import Installation

__all__ = ["Answer", "Installation", "Message", "SandboxError", "SandboxSlack", "Wait"]
