"""``make chaos``: the whole stack with everything happening to it that people, machines and services do."""
