"""What must sound now, and what became of what should have."""
