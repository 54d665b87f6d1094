"""The pool engine: which team and agent a conversation goes to."""
