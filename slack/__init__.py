"""All that is known of posting to Slack, and nothing of us: client, errors, pacing, blocks, mrkdwn.

Slack's signing of requests is not here: Bolt, in `bot`, verifies what comes in.
"""
