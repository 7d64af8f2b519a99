"""The line to the broker: what comes, what goes, and what time it is at the other end."""
