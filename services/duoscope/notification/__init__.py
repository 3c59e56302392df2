"""Messages of alerts to people and machines: templates, channels, the outbox and its sender."""
