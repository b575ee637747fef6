"""What is compared: each candidate runs in a measured process, and imports only what it needs."""
