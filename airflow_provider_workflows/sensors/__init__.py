"""Waiting for a workflow."""
