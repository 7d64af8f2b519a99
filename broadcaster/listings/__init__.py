"""What clusters will say when, as text for a terminal: the answer of ``loa timeline``."""
