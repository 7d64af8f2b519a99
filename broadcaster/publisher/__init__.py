"""The server's side of the wire: what is signed and sent to boxes, and what comes back from them."""
