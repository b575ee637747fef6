"""The steps of the guide as operators."""
