"""What the scenarios measure, where one of them has several parts."""
