"""Assets and lineage: what tasks have read and brought about, by names that DAGs and catalogues find."""
