"""Recurrences and verdicts in words, Vietnamese and English."""
