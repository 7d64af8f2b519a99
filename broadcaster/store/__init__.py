"""Where the server keeps what it must not forget: ``port.py`` is the contract, the rest keeps it.

``tiny.py`` holds definitions (TinyDB over ``checked.py``), ``journal.py`` holds facts and receipts (SQLite).
"""
