"""The language between server and boxes, and the box itself. Knows no HTTP API and no database."""
