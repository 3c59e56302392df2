"""Routes of notification: who is told of alerts, and what was sent."""
