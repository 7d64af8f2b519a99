"""What survives a power cut: receipts that wait for the server, and the ledger of what has sounded."""
