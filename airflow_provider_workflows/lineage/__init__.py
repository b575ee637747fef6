"""Assets: what a workflow brings, by names that DAGs and catalogues find."""
