"""A table of cases through a workflow, as one task: items in, results out."""
