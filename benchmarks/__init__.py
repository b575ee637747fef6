"""What this provider costs, always measured beside a peer: polling, batches, webhooks and imports."""
