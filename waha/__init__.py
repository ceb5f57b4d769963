"""All that is known of WAHA, the WhatsApp HTTP API, and nothing of us."""
