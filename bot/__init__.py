"""Slack in: what arrives is kept before it is acknowledged, commands become operations, answers go back to who asked.

The bot never calls WAHA: it writes down what people want, and the daemon makes it true.
"""
