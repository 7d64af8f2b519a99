"""The corridor, one verb a file: load, ask the model, save. Whoever changes anything comes through here."""
