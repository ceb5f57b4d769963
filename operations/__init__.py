"""Use cases: the only place with transactions and with rules across rows.

An operation that the bot asks for runs inside the transaction of its command (`slack_inbox.answer`), so that what it
changed and what the person is told are one commit. One that the daemon asks for opens its own. Either may be repeated:
ids and keys come from outside. None touches the network.
"""
