"""What the documentation takes from the code, and what its built site is checked for."""
