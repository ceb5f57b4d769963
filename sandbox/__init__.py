"""Simulated Slack and WhatsApp on sockets, for tests and for trying the product without accounts."""
