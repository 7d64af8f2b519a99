"""The HTTP API, one file per noun: each endpoint reads its request, calls the flow and shows the result."""
