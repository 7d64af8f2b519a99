"""The box's time: what it believes, why, and how wrong that may be."""
