"""What the provider costs, next to its peers and to the least that is possible, measured in one run."""
