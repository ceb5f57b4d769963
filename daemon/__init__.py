"""Time and webhooks in: ingress, inbox, sender, relay, reconciler, scheduler."""
