"""What all scenarios share: measured processes, the services that they talk to, and the report."""
