"""The application: the corridor from an announcement to the street, and the report that comes back."""
