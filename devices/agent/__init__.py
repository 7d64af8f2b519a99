"""The speaker box: verifies, stores and fetches ahead, plays by its own clock, reports what was heard."""
